"""Flagsmith's own database, read as of one instant, and what is taken of it."""

import bisect
import collections
import datetime

import psycopg
from psycopg.rows import namedtuple_row

# What is read, by table: the columns that there must be, and those that some releases lack.  No password, no key.
HISTORY = "history_id id history_date history_type"
TABLES = {
    "audit_auditlog": ("id created_date log author_id environment_id project_id related_object_id related_object_type"
                       " is_system_event", "related_object_uuid"),
    "projects_project": ("id name organisation_id",
                         "uuid deleted_at hide_disabled_flags enable_dynamo_db prevent_flag_defaults enable_realtime_updates"
                         " only_allow_lower_case_feature_names feature_name_regex show_edge_identity_overrides_for_feature"
                         " stale_flags_limit_days identity_overrides_v2_migration_status minimum_change_request_approvals"
                         " enforce_feature_owners"),
    "environments_environment": ("id name project_id",
                                 "uuid deleted_at description minimum_change_request_approvals allow_client_traits banner_text"
                                 " banner_colour hide_disabled_flags use_mv_v2_evaluation hide_sensitive_data"
                                 " use_v2_feature_versioning use_identity_overrides_in_local_eval is_creating"),
    "environments_historicalenvironment": (HISTORY + " name", ""),
    "environments_identity": ("id identifier", ""),
    "users_ffadminuser": ("id email first_name last_name", "last_login uuid"),
    "api_keys_masterapikey": ("id name", ""),
    "segments_segment": ("id name", ""),
    "segments_historicalsegment": (HISTORY + " name", ""),
    "features_feature": ("id name project_id created_date default_enabled initial_value type", "deleted_at"),
    "features_historicalfeature": (HISTORY + " name created_date default_enabled initial_value type", ""),
    "features_featuresegment": ("id segment_id priority", ""),
    "features_historicalfeaturesegment": (HISTORY + " segment_id priority", ""),
    "features_featurestate": ("id environment_id feature_id identity_id feature_segment_id enabled live_from version",
                              "deleted_at environment_feature_version_id"),
    "features_historicalfeaturestate": (HISTORY + " environment_id feature_id identity_id feature_segment_id enabled live_from"
                                        " version history_user_id master_api_key_id",
                                        "deleted_at environment_feature_version_id"),
    "features_featurestatevalue": ("feature_state_id type string_value integer_value boolean_value", ""),
    "features_historicalfeaturestatevalue": (HISTORY + " feature_state_id type string_value integer_value boolean_value"
                                             " history_user_id master_api_key_id", ""),
    "multivariate_multivariatefeatureoption": ("id default_percentage_allocation", ""),
    "multivariate_multivariatefeaturestatevalue": ("id feature_state_id multivariate_feature_option_id percentage_allocation", ""),
    "multivariate_historicalmultivariatefeaturestatevalue": (
        HISTORY + " feature_state_id multivariate_feature_option_id percentage_allocation history_user_id master_api_key_id", ""),
    "feature_versioning_environmentfeatureversion": (
        "uuid environment_id feature_id published_at live_from published_by_id", "deleted_at published_by_api_key_id"),
}
# Tables of later releases: where one is missing, it is empty.
LATER = {"feature_versioning_environmentfeatureversion"}

AGES_AGO = datetime.datetime(1, 1, 1, tzinfo=datetime.timezone.utc)
FOREVER = datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc)


class Failure(Exception):
    pass


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_of(rows, at):
    """The last of some rows of a history that is not later than an instant, or None."""
    index = bisect.bisect_right(rows, at, key=lambda row: row.history_date)
    return rows[index - 1] if index > 0 else None


class Flagsmith:
    """Flagsmith's database as of one instant."""

    def __init__(self, conninfo):
        try:
            if "password" in psycopg.conninfo.conninfo_to_dict(conninfo):
                raise Failure("a password on a command line can be seen by others: write it into ~/.pgpass or a service file")
        except psycopg.ProgrammingError as error:
            raise Failure(f"CONNINFO is no connection string: {str(error).strip()}") from error
        self.conn = psycopg.connect(conninfo, application_name="flagsmith backfill", client_encoding="UTF8",
                                    row_factory=namedtuple_row)
        self.conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        self.conn.read_only = True
        self.conn.execute("SET LOCAL TimeZone TO 'UTC'")
        self.now = self.conn.execute("SELECT transaction_timestamp() AS now").fetchone().now
        self.columns = {}
        self.check()

    def check(self):
        """That all that is read is there, and may be read."""
        rows = self.conn.execute(
            "SELECT c.relname, a.attname, has_schema_privilege(c.relnamespace, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')"
            "  AS readable, c.oid::regclass::text AS shown, current_user AS me"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relname = ANY(%s) AND c.relkind IN ('r', 'p', 'v')"
            " AND pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped", [list(TABLES)]).fetchall()
        there = {(row.relname, row.attname): row for row in rows}
        tables = {row.relname: row for row in rows}
        grants = []
        for table, (needed, later) in TABLES.items():
            if table not in tables:
                if table in LATER:
                    self.columns[table] = ()
                    continue
                raise Failure(f"the database that CONNINFO leads to has no table {table}: it is not Flagsmith's, or its"
                              " tables are in a schema that is not in the search_path of this role")
            for column in needed.split():
                if (table, column) not in there:
                    raise Failure(f"Flagsmith's table {table} has no column {column}: it is of a release that this tool does not know")
            self.columns[table] = tuple(c for c in (needed + " " + later).split() if (table, c) in there)
            if not all(there[table, column].readable for column in self.columns[table]):
                grants.append(f"GRANT SELECT ({', '.join(self.columns[table])}) ON {tables[table].shown} TO {tables[table].me};")
        if grants:
            raise Failure("the role may not read all that it takes of Flagsmith's tables.  As their owner:\n" + "\n".join(grants))

    def rows(self, table, condition, arguments, order="", names=None):
        """Rows of a table; a column that this release lacks is None."""
        every = (TABLES[table][0] + " " + TABLES[table][1]).split()
        if not self.columns[table]:
            return []
        chosen = [name for name in every if names is None or name in names]
        have = self.columns[table]
        listed = ", ".join(f"t.{name}" if name in have else f"NULL AS {name}" for name in chosen)
        return self.conn.execute(f"SELECT {listed} FROM {table} t WHERE {condition} {order}", arguments).fetchall()

    def object(self, row, table, names, without=()):
        """A row as the REST API shows it."""
        result = {}
        for name in self.columns[table]:
            value = getattr(row, name)
            if name not in without:
                result[names.get(name, name)] = (
                    stamp(value) if isinstance(value, datetime.datetime) else
                    value if value is None or isinstance(value, (bool, int, float)) else str(value))
        return result


class Names:
    """What things were called: those that can be renamed, as of an instant."""

    def __init__(self, flagsmith):
        self.now = {(kind, row.id): row.email if kind == "user" else row.name for kind, table in (
            ("user", "users_ffadminuser"), ("key", "api_keys_masterapikey"), ("segment", "segments_segment"),
            ("environment", "environments_environment")) for row in flagsmith.rows(table, "true", [])}
        self.then = collections.defaultdict(list)
        for kind, table in (("segment", "segments_historicalsegment"), ("environment", "environments_historicalenvironment")):
            for row in flagsmith.rows(table, "true", [], "ORDER BY t.history_date, t.history_id"):
                self.then[kind, row.id].append(row)

    def at(self, kind, key, at):
        """None where it may have been renamed since."""
        rows = self.then[kind, key]
        then = as_of(rows, at)
        if then is None and rows:
            return rows[0].name if rows[0].history_type == "+" else None
        return self.now.get((kind, key)) if then is None else then.name

    def of_author(self, user, key):
        return self.now.get(("user", user)) or self.now.get(("key", key))
