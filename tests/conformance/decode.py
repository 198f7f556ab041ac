# SPDX-License-Identifier: BSD-2-Clause-Patent
"""Requests as three foreign decoders show them, brought to one form: names of the .proto files, integers as int, bytes
as lower-case hex, enumerations by name, what repeats as a list, and nothing where there is nothing."""
import base64
import re

REPEATED = {"resource_spans", "scope_spans", "spans", "events", "links", "attributes", "values", "resource_metrics",
            "scope_metrics", "metrics", "data_points", "exemplars", "filtered_attributes", "bucket_counts",
            "explicit_bounds", "resource_logs", "scope_logs", "log_records", "entity_refs"}
INTEGERS = {"int_value", "as_int", "count", "bucket_counts", "zero_count", "scale", "offset", "flags", "time_unix_nano",
            "start_time_unix_nano", "end_time_unix_nano", "observed_time_unix_nano", "dropped_attributes_count",
            "dropped_events_count", "dropped_links_count"}
DOUBLES = {"double_value", "as_double", "sum", "min", "max", "explicit_bounds", "zero_threshold"}
IDS = {"trace_id", "span_id", "parent_span_id"}
ENUMS = {"kind": ["SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT",
                  "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"],
         "code": ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"],
         "aggregation_temporality": ["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA",
                                     "AGGREGATION_TEMPORALITY_CUMULATIVE"]}
# Zero means absent in these: proto3 does not send it, and JSON may or may not write it.
PLAIN = (INTEGERS - {"int_value", "as_int"}) | {"zero_threshold", "name", "description", "unit", "version", "schema_url",
                                                "message", "trace_state", "severity_text", "event_name", "is_monotonic",
                                                "parent_span_id", "trace_id", "span_id"}

EMPTY = {"status", "body", "positive", "negative"}  # messages that say nothing when empty


def snake(name):
    return re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), name)


def one(name, value, json_bytes):
    if isinstance(value, dict):
        return message(value, json_bytes)
    if name in INTEGERS:
        return int(value)
    if name in DOUBLES:
        return float(value)
    if name in ENUMS:
        return ENUMS[name][value] if isinstance(value, int) else value
    if name == "severity_number":
        return value if isinstance(value, str) else severity(value)
    if name in IDS:
        return value.lower()
    if name == "bytes_value" and json_bytes == "base64":
        return base64.b64decode(value).hex()
    return value


def severity(number):
    if not number:
        return "SEVERITY_NUMBER_UNSPECIFIED"
    family = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")[(number - 1) // 4]
    return f"SEVERITY_NUMBER_{family}{(number - 1) % 4 + 1 if (number - 1) % 4 else ''}"


def message(fields, json_bytes):
    result = {}
    for key, value in fields.items():
        name = snake(key)
        many = name in REPEATED and not (name == "values" and isinstance(value, dict))
        value = value if isinstance(value, list) else [value]
        # The histogram's message and the number in it are both called sum.
        if name == "sum" and isinstance(value[0], dict):
            value = [message(value[0], json_bytes)]
        else:
            value = [one(name, item, json_bytes) for item in value]
        if many:
            if value:
                result[name] = value
        elif not (name in PLAIN and value[0] in (0, "", False)) and value[0] is not None:
            if not (isinstance(value[0], str) and value[0].endswith(("_UNSPECIFIED", "_UNSET"))):
                result[name] = value[0]
    return result


def from_receiver(request):
    """A request as receiver.mjs writes it."""
    return message(request, "hex")


def from_collector(request):
    """OTLP/JSON, as the Collector's file exporter writes it: camelCase, ids in hex, bytes in base 64, and empty messages
    where there were none."""
    return without_empty(message(request, "base64"))


def without_empty(value):
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_empty(item) for key, item in value.items() if item != {} or key not in EMPTY}


# ---- protoc's text format ----

TOKEN = re.compile(r'\s*(?:([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*")|([-+]?[\w.+-]+)|([{}:]))')
ESCAPES = {"n": 10, "r": 13, "t": 9, '"': 34, "'": 39, "\\": 92}


def unquote(text):
    """The bytes of a quoted string: octal, hexadecimal and the usual escapes."""
    result = bytearray()
    for octal, hexadecimal, letter, plain in re.findall(r"\\([0-7]{1,3})|\\x([0-9a-fA-F]{1,2})|\\(.)|([^\\]+)", text[1:-1]):
        if octal:
            result.append(int(octal, 8))
        elif hexadecimal:
            result.append(int(hexadecimal, 16))
        elif letter:
            result.append(ESCAPES[letter])
        else:
            result += plain.encode()
    return bytes(result)


def text_message(tokens):
    """name -> list of values, until the brace that closes it."""
    fields = {}
    for token in tokens:
        name = token[0]
        if token[3] == "}":
            break
        assert name, f"a field without a known name: the bytes do not fit the .proto files: {token}"
        mark = next(tokens)
        if mark[3] == "{":
            value = text_message(tokens)
        else:
            _, quoted, _, _ = scalar = next(tokens)
            if quoted:
                data = unquote(quoted)
                value = data.hex() if name in IDS or name == "bytes_value" else data.decode()
            else:
                value = scalar[0] or scalar[2]
                value = {"true": True, "false": False}.get(value, value)
        fields.setdefault(name, []).append(value)
    return fields


def from_protoc(text):
    """What `protoc --decode` prints. A field it has no name for is an error."""
    return message(text_message(iter(TOKEN.findall(text.strip()))), "hex")
