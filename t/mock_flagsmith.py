"""A Flagsmith that answers what docs/receiver.md asks its REST API for: one organisation, one project, one environment,
and two flags.  python3 t/mock_flagsmith.py FILE listens on a free port of the loopback and writes its address into FILE."""

import http.server
import json
import os
import sys

PROJECT = {"id": 77, "name": "Shop", "organisation": 9}
ENVIRONMENT = {"id": 512, "name": "Production", "project": 77, "use_v2_feature_versioning": False}
AUTHOR = {"id": 21, "email": "ada@example.com", "first_name": "Ada", "last_name": "Byron"}


def entry(number, created, log, kind, related, environment):
    return {"id": number, "created_date": created, "log": log, "author": AUTHOR, "project": PROJECT,
            "environment": environment, "related_object_id": related, "related_object_type": kind,
            "related_object_uuid": None, "is_system_event": False}


def state(number, feature, integer=None, string=None):
    return {"id": number, "feature": feature, "environment": 512, "identity": None, "feature_segment": None, "enabled": True,
            "multivariate_feature_state_values": [],
            "feature_state_value": {"type": "int" if string is None else "unicode", "string_value": string,
                                    "integer_value": integer, "boolean_value": None}}


def feature(number, name, created, default, now):
    return {"id": number, "name": name, "type": "STANDARD", "created_date": created, "default_enabled": False, "initial_value": default,
            "environment_feature_state": {"id": 50909 + number, "enabled": True, "environment": 512, "identity": None,
                                          "feature_segment": None, "feature_state_value": now}}


LOG = [entry(903, "2025-11-03T09:15:42.120394Z", "Flag state updated for feature: checkout_v2", "FEATURE_STATE", 55010, ENVIRONMENT),
       entry(902, "2025-09-01T08:00:00.500000Z", "New Flag / Remote Config created: checkout_v2", "FEATURE", 4101, None),
       entry(901, "2024-03-01T08:00:00.500000Z", "New Flag / Remote Config created: free_shipping", "FEATURE", 4102, None),
       entry(900, "2024-02-01T08:00:00.500000Z", "New Environment created: Production", "ENVIRONMENT", 512, ENVIRONMENT)]
STATES = [state(55010, 4101, string="green"), state(55011, 4102, integer=25)]
FEATURES = [feature(4101, "checkout_v2", "2025-09-01T08:00:00Z", None, "green"),
            feature(4102, "free_shipping", "2024-03-01T08:00:00Z", "25", 25)]
LISTS = {"/api/v1/organisations/": [{"id": 9, "name": "Example"}],
         "/api/v1/projects/": [PROJECT],
         "/api/v1/environments/": [ENVIRONMENT],
         "/api/v1/organisations/9/audit/": LOG,
         "/api/v1/projects/77/features/": FEATURES,
         "/api/v1/features/featurestates/": STATES,
         "/api/v1/features/feature-segments/": []}


class Flagsmith(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        results = LISTS.get(self.path.split("?")[0])
        if self.headers.get("Authorization") != "Api-Key the master key":
            self.reply(401, {"detail": "Invalid key."})
        elif results is None:
            self.reply(404, {"detail": "Not found."})
        else:
            self.reply(200, {"count": len(results), "next": None, "previous": None, "results": results})

    def reply(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flagsmith)
    with open(sys.argv[1] + ".new", "w", encoding="ascii") as file:
        file.write(f"http://127.0.0.1:{server.server_port}")
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.serve_forever()
