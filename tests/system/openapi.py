# SPDX-License-Identifier: BSD-2-Clause-Patent
"""A program's description of itself, and answers held to it."""
import json
import re

from harness import Skip


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


class Description:
    """openapi.json; every answer has to be one that it lists, with members that its schemas have."""

    def __init__(self, document):
        self.document = document
        try:
            import jsonschema
        except ImportError:
            raise Skip("Python's jsonschema is missing; install python3-jsonschema") from None
        self.jsonschema = jsonschema
        self.schemas = {name: self.strict(schema) for name, schema in document["components"]["schemas"].items()}

    def strict(self, schema):
        """Answers have nothing that is not described: objects with named members are closed here."""
        if isinstance(schema, list):
            return [self.strict(one) for one in schema]
        if not isinstance(schema, dict):
            return schema
        out = {key: self.strict(value) for key, value in schema.items()}
        if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
            out.setdefault("additionalProperties", False)
        return out

    def operation(self, method, path):
        for pattern, operations in self.document["paths"].items():
            shape = "^" + re.sub(r"\{\w+\}", "[^/]+", pattern) + "$"
            if re.match(shape, path.partition("?")[0]) and method.lower() in operations:
                # "/v1/jobs/batch" is no job's id
                if "{" in pattern and path.partition("?")[0] in self.document["paths"]:
                    continue
                return pattern, operations[method.lower()]
        return None, None

    def check(self, method, path, answer):
        pattern, operation = self.operation("GET" if method == "HEAD" else method, path)
        if not operation:
            assert answer.status in (400, 404, 405), f"{method} {path} is not described, and answers {answer.status}"
            return
        described = operation["responses"].get(str(answer.status))
        if not described:
            assert answer.status >= 400, f"{method} {pattern}: {answer.status} is not described"
            described = operation["responses"]["default"]
        for name in described.get("headers", {}):
            assert name.lower() in answer.headers or name == "Link", f"{method} {pattern}: no {name}"
        if method == "HEAD":
            return
        content = described.get("content")
        if not content:
            assert not answer.body, f"{method} {pattern}: a body with {answer.status}"
            return
        media = answer.headers["content-type"]
        assert media in content, f"{method} {pattern}: {media} is not described"
        if media.endswith("json") and not media.endswith("ndjson"):
            self.validate(content[media]["schema"], answer.json())

    def validate(self, schema, value):
        self.jsonschema.Draft202012Validator({**schema, "components": {"schemas": self.schemas}}).validate(value)


def check_document(path):
    """OpenAPI 3.1, whose references lead somewhere."""
    with open(path, encoding="utf-8") as f:
        document = json.load(f)
    assert document["openapi"].startswith("3.1."), document["openapi"]
    names, ids = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document))), []
    assert names <= set(document["components"]["schemas"]), "a reference leads nowhere"
    for pattern, operations in document["paths"].items():
        for operation in operations.values():
            ids.append(operation["operationId"])
            in_path = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "path"}
            assert in_path == set(re.findall(r"{(\w+)}", pattern)), pattern
            assert "default" in operation["responses"] and operation["summary"]
    assert len(ids) == len(set(ids))
    try:
        import openapi_spec_validator
    except ImportError:
        return document
    openapi_spec_validator.validate(document)
    return document
