-- Views read tables by SQL: where these hold less than the history, on a subscriber that is being filled, they would show fewer
-- rows without a word.  So each asks this in its condition; functions ask by themselves.
CREATE FUNCTION flagsmith._whole() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE COST 10
    AS 'MODULE_PATHNAME', 'fsw_whole';
COMMENT ON FUNCTION flagsmith._whole() IS 'true, or an error where the tables of this database do not hold all of the history';

CREATE FUNCTION flagsmith._is_subscriber() RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'fsw_is_subscriber_here';
COMMENT ON FUNCTION flagsmith._is_subscriber() IS 'whether logical replication writes the history of this database';

CREATE FUNCTION flagsmith._refuse_on_subscriber() RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'fsw_refuse_here';
COMMENT ON FUNCTION flagsmith._refuse_on_subscriber() IS 'an error where logical replication writes the history of this database';
