# SPDX-License-Identifier: BSD-2-Clause-Patent
"""deploy/prometheus: rules that Prometheus takes, whose tests notice when one is broken, and a runbook for each alert.

usage: test_alerts.py VMAFX [CASE…]
"""
import concurrent.futures
import json
import os
import re

import signals
from harness import case, expect, main, run

RULES, TESTS, RUNBOOK = "deploy/prometheus/vmafx.rules.yaml", "deploy/prometheus/vmafx.tests.yaml", "docs/runbook.md"


def rules():
    return [rule for group in signals.yaml_of(signals.read(RULES))[0]["groups"] for rule in group["rules"]]


def alerts():
    return [rule for rule in rules() if "alert" in rule]


@case
def prometheus_takes_the_rules():
    got = signals.promtool("check", "rules", signals.ROOT / RULES)
    assert got.returncode == 0 and f"SUCCESS: {len(rules())} rules" in got.stdout, got.stdout + got.stderr


@case
def every_alert_fires_when_it_should_and_not_when_it_should_not():
    got = signals.promtool("test", "rules", os.path.basename(TESTS), cwd=signals.ROOT / "deploy/prometheus")
    assert got.returncode == 0, got.stdout + got.stderr


@case
def every_alert_has_a_test_of_both_kinds():
    seen = {}
    for group in signals.yaml_of(signals.read(TESTS))[0]["tests"]:
        for test in group["alert_rule_test"]:
            seen.setdefault(test["alertname"], set()).add(bool(test["exp_alerts"]))
    names = [rule["alert"] for rule in alerts()]
    assert len(names) == len(set(names)) >= 19, names
    for name in names:
        assert seen.get(name) == {True, False}, f"{name} has tests of {seen.get(name)}"
    assert set(seen) == set(names), set(seen) - set(names)


def survives(name, expression):
    """Whether the alert's tests pass with this in the place of its expression."""
    folder = os.path.abspath(f"{name}-{expression[7]}")
    os.mkdir(folder)
    rule = {**next(rule for rule in alerts() if rule["alert"] == name), "expr": expression}
    tests = signals.yaml_of(signals.read(TESTS))[0]
    kept = []
    for group in tests["tests"]:
        mine = [test for test in group["alert_rule_test"] if test["alertname"] == name]
        if mine:
            kept.append({**group, "alert_rule_test": mine, "promql_expr_test": []})
    for path, document in ((RULES, {"groups": [{"name": "one", "rules": [rule]}]}), (TESTS, {**tests, "tests": kept})):
        with open(os.path.join(folder, os.path.basename(path)), "w", encoding="utf-8") as f:
            json.dump(document, f)  # JSON is YAML
    return signals.promtool("test", "rules", os.path.basename(TESTS), cwd=folder).returncode == 0


@case
def the_tests_notice_an_alert_that_always_or_never_fires():
    changes = [(rule["alert"], expression) for rule in alerts() for expression in ("vector(1) > 0", "vector(0) > 1")]
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        left = [change for change, passed in zip(changes, pool.map(lambda change: survives(*change), changes)) if passed]
    assert not left, left


@case
def rules_name_only_what_programs_make():
    metrics, closed = signals.table()
    known = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        wrong = signals.wrong_with(rule["expr"], metrics, closed, known)
        assert not wrong, (rule.get("alert") or rule["record"], wrong)
        for name, _ in signals.selectors(rule["expr"]):
            assert name not in metrics or signals.made_somewhere(metrics[name][0]), f"no program makes {name}"
    used = {name for rule in rules() for name, _ in signals.selectors(rule["expr"])}
    boards = "".join(path.read_text(encoding="utf-8") for path in (signals.ROOT / "deploy/grafana/dashboards").glob("*.json"))
    for name in known:
        assert name in used or name in boards, f"nobody reads {name}"


@case
def the_windows_of_a_recorded_ratio_differ_in_nothing_else():
    families = {}
    for rule in (rule for rule in rules() if "record" in rule):
        family, window = re.fullmatch(r"(.*)_rate(\w+)", rule["record"]).groups()
        assert f"[{window}]" in rule["expr"], rule
        families.setdefault(family, set()).add(rule["expr"].replace(f"[{window}]", "[W]"))
    assert len(families) == 2, families
    for family, forms in families.items():
        assert len(forms) == 1, (family, forms)


@case
def every_alert_says_how_urgent_it_is_and_where_to_read_on():
    headings = re.findall(r"^## (\w+)$", signals.read(RUNBOOK), re.M)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{rule['alert'].lower()}", rule
        assert rule["annotations"]["summary"].endswith("."), rule
    assert headings == [rule["alert"] for rule in alerts()], "the runbook's pages are those of the alerts, in their order"


@case
def every_page_of_the_runbook_says_what_to_look_at_and_what_to_do():
    for page in re.split(r"^## ", signals.read(RUNBOOK), flags=re.M)[1:]:
        name = page.split("\n", 1)[0]
        for part in ("**Means**", "**Look**", "**Do**", "**Over when**"):
            assert page.count(part) == 1, f"{name}: {part}"
        assert "```" in page.split("**Look**")[1], f"{name} has no command to look with"


@case
def every_command_in_the_runbook_is_one_that_there_is():
    blocks = "\n".join(re.findall(r"```\n(.*?)```", signals.read(RUNBOOK), re.S))
    seen = set()
    for line in blocks.splitlines():
        for part in line.split("#")[0].split("|"):
            words = part.split()
            if words[:1] != ["vmafx"]:
                continue
            text = expect(run(words[1], "--help"), 0).stdout
            seen.add(words[1])
            for option in (word.split("=")[0] for word in words[2:] if word.startswith("-")):
                assert re.search(rf"(?<![\w-]){option}\b", text), f"vmafx {words[1]} has no {option}: {line}"
    assert {"job", "jobs", "nodes", "trace", "drain", "retry"} <= seen, seen
    metrics, closed = signals.table()
    for query in re.findall(r"promql '([^']*)'", blocks):
        wrong = signals.wrong_with(query, metrics, closed)
        assert not wrong, (query, wrong)


@case
def the_objectives_are_those_of_the_page_about_them():
    """docs/slo.md has the numbers that the rules have."""
    page = signals.read("docs/slo.md")
    text = signals.read(RULES)
    for objective, number in (("99.5 %", "0.005"), ("95 %", "0.05")):
        assert objective in page, objective
        assert f"14.4 * {number}" in text and f"6 * {number}" in text, number


main()
