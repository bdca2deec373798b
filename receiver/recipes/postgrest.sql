-- Behind PostgREST: POST /rpc/shop.  A function with one unnamed json parameter gets the body as it came (type json keeps
-- the text), and the headers are in a setting.  Run as the owner of the extension; "web" is PostgREST's role.
CREATE SCHEMA IF NOT EXISTS api;
CREATE FUNCTION api.shop(json) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    answer record;
BEGIN
    SELECT * INTO answer FROM flagsmith.receive('shop', convert_to($1::text, 'UTF8'), current_setting('request.headers')::jsonb);
    PERFORM set_config('response.status', answer.status::text, true);
    RETURN answer.outcome;
END;
$$;
REVOKE ALL ON FUNCTION api.shop(json) FROM PUBLIC;
GRANT USAGE ON SCHEMA api TO web;
GRANT EXECUTE ON FUNCTION api.shop(json) TO web;
