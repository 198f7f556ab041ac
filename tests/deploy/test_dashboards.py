# SPDX-License-Identifier: BSD-2-Clause-Patent
"""deploy/grafana: boards that are what their description says, that name only signals there are, and that Grafana can lay out.

usage: test_dashboards.py VMAFX [CASE…]
"""
import json
import re

import signals
from boards import FOLDER, boards, expressions, names_of_variables, targets
from harness import case, main

BOARDS = ["job", "nodes", "overview", "quality", "queue", "telemetry"]
DASHBOARDS = signals.tool("dashboards")


@case
def the_boards_are_what_their_description_says():
    made = DASHBOARDS.files_of((FOLDER / "boards.txt").read_text(encoding="utf-8"))
    assert sorted(made) == [f"{name}.json" for name in BOARDS], sorted(made)
    for name, text in made.items():
        assert (FOLDER / "dashboards" / name).read_text(encoding="utf-8") == text, f"{name} is stale: run tools/dashboards"
    assert sorted(path.name for path in (FOLDER / "dashboards").iterdir()) == sorted(made)


@case
def a_description_with_a_mistake_is_refused_with_its_line():
    good = "board a A\nrow R\ngraph 4x4 s T\n  = x | up\n"
    assert DASHBOARDS.files_of(good)
    for why, text, words in (
            ("a word that is none", good + "grap 4x4 s U\n", "line 5"),
            ("a panel wider than the board", "board a A\nrow R\ngraph 25x4 s T\n  = x | up\n", "line 3"),
            ("a panel without a query", "board a A\nrow R\ngraph 4x4 s T\n", "no query"),
            ("a panel before a row", "board a A\ngraph 4x4 s T\n", "no row"),
            ("a row before a board", "row R\n", "no board"),
            ("a board twice", good + "board a B\n", "line 5"),
            ("a query without an expression", good + "  = y |\n", "line 5"),
            ("a limit that is no number", good + "  limit much red\n", "line 5"),
            ("a choice without a query", "board a A\n  pick x X\n", "line 2"),
            ("a detail of nothing", "  says x\n", "line 1")):
        try:
            DASHBOARDS.files_of(text)
        except DASHBOARDS.Wrong as wrong:
            assert words in str(wrong), (why, wrong)
        else:
            raise AssertionError(f"{why}: taken")


@case
def panels_have_numbers_of_their_own_and_do_not_overlap():
    uids = [board["uid"] for board in boards().values()]
    assert len(uids) == len(set(uids)) == len(BOARDS) and all(re.fullmatch(r"[a-z-]{1,40}", uid) for uid in uids), uids
    for name, board in boards().items():
        ids = [panel["id"] for panel in board["panels"]]
        assert len(ids) == len(set(ids)) and all(0 < number < 2**31 for number in ids), name
        taken = {}
        for panel in board["panels"]:
            place = panel["gridPos"]
            assert place["x"] >= 0 and place["w"] > 0 and place["x"] + place["w"] <= 24, (name, panel["title"])
            for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
                assert cell not in taken, f"{name}: {panel['title']} lies over {taken[cell]}"
                taken[cell] = panel["title"]
        assert panel["targets"], "a board ends with a panel"


@case
def a_panel_keeps_its_number_when_others_come():
    text = (FOLDER / "boards.txt").read_text(encoding="utf-8")
    more = text.replace("row Attempts\n", "row Attempts\ngraph 8x8 s One more\n  = x | up\n", 1)
    assert more != text
    before, after = (json.loads(DASHBOARDS.files_of(each)["queue.json"]) for each in (text, more))
    numbers = {panel["title"]: panel["id"] for panel in after["panels"]}
    assert len(after["panels"]) == len(before["panels"]) + 1
    for panel in before["panels"]:
        assert numbers[panel["title"]] == panel["id"], panel["title"]


@case
def prometheus_understands_every_query():
    groups = [{"name": "boards", "rules": [{"record": f"q{i}", "expr": query} for i, (_, _, query) in enumerate(expressions())]}]
    with open("boards.rules.json", "w", encoding="utf-8") as f:
        json.dump({"groups": groups}, f)  # JSON is YAML
    got = signals.promtool("check", "rules", "boards.rules.json")
    assert got.returncode == 0, got.stdout + got.stderr
    assert f"{len(groups[0]['rules'])} rules" in got.stdout and len(groups[0]["rules"]) > 90, got.stdout


@case
def queries_name_only_signals_that_there_are():
    metrics, closed = signals.table()
    known = {rule["record"] for group in signals.yaml_of(signals.read("deploy/prometheus/vmafx.rules.yaml"))[0]["groups"]
             for rule in group["rules"] if "record" in rule}
    for board, title, query in expressions():
        wrong = signals.wrong_with(query, metrics, closed, known)
        assert not wrong, (board, title, wrong)
        assert signals.selectors(query), (board, title, "names nothing")
    for name, board in boards().items():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
                assert label in metrics[metric][1], (name, variable["name"])


@case
def a_query_with_a_wrong_name_would_be_noticed():
    metrics, closed = signals.table()
    for query, words in (("sum(rate(vmafx_jobs_fail_total[5m]))", "no program makes vmafx_jobs_fail_total"),
                         ('vmafx_nodes{vmafx_node_status="lost"}', "has no label vmafx_node_status"),
                         ('vmafx_nodes{vmafx_node_state="away"}', "is never 'away'"),
                         ('vmafx_nodes{vmafx_node_state=~"lost|awol"}', "is never 'awol'"),
                         ("sum by (vmafx_node_name) (vmafx_nodes)", "nothing in it has the label vmafx_node_name"),
                         ("histogram_quantile(0.5, vmafx_jobs_queued_bucket)", "no program makes")):
        wrong = signals.wrong_with(query, metrics, closed)
        assert any(words in one for one in wrong), (query, wrong)


@case
def legends_name_only_labels_that_their_query_leaves():
    for name, board in boards().items():
        for panel, target in targets(board):
            if "legendFormat" in target:
                left = signals.grouped(target["expr"])
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    assert label in left, (name, panel["title"], label)


@case
def every_metric_in_a_query_is_made_by_some_program():
    metrics, _ = signals.table()
    for board, title, query in expressions():
        for metric, _ in signals.selectors(query):
            row = metrics[metric][0] if metric in metrics else None
            assert not row or signals.made_somewhere(row), f"{board}, {title}: no program makes {row['name']}"


@case
def spans_and_log_records_are_asked_for_by_attributes_there_are():
    rows = signals.tool("signals-doc").rows_of(signals.read("src/signals/signals.def"))
    keys, spans = {row["key"] for row in rows["ATTRIBUTE"]}, {row["name"] for row in rows["SPAN"]}
    seen = set()
    for name, board in boards().items():
        for panel, target in targets(board):
            text = target.get("query") or target["expr"]
            if target["datasource"]["type"] == "tempo":
                for key in re.findall(r"\bspan\.([a-z_.]+)", text):
                    assert key in keys, (name, panel["title"], key)
                for span in re.findall(r'name = "([^"]*)"', text):
                    assert span in spans, (name, panel["title"], span)
                seen.add("tempo")
            elif target["datasource"]["type"] == "loki":
                for label in re.findall(r"\| (\w+) =", text):
                    assert label in {signals.underscored(key) for key in keys} | {"trace_id"}, (name, panel["title"], label)
                seen.add("loki")
    assert seen == {"tempo", "loki"}


@case
def sources_are_variables_and_variables_are_there():
    for name, board in boards().items():
        variables = names_of_variables(board)
        assert variables[:3] == ["metrics", "traces", "logs"] and len(variables) == len(set(variables)), name
        kinds = {variable["name"]: variable["query"] for variable in board["templating"]["list"][:3]}
        for panel in board["panels"]:
            sources = [panel["datasource"]] if "datasource" in panel else []
            for source in sources + [target["datasource"] for target in panel.get("targets", [])]:
                match = re.fullmatch(r"\$\{(metrics|traces|logs)\}", source["uid"])
                assert match and kinds[match[1]] == source["type"], (name, panel["title"], source)
        for text in [json.dumps(panel) for panel in board["panels"]]:
            for used in re.findall(r"\$([a-z]+)\b", text):
                assert used in variables, (name, used)


@case
def boards_lead_to_each_other_and_exemplars_to_traces():
    uids = {board["uid"] for board in boards().values()}
    exemplars, links = 0, 0
    for name, board in boards().items():
        assert [link["tags"] for link in board["links"]] == [["vmafx"]] and "vmafx" in board["tags"], name
        for panel, target in targets(board):
            histogram = "_bucket" in target.get("expr", "")
            exemplars += bool(target.get("exemplar"))
            assert not histogram or panel["type"] != "timeseries" or target["exemplar"], (name, panel["title"])
        for uid, variable in re.findall(r"/d/([\w-]+)\?var-(\w+)=", json.dumps(board)):
            links += 1
            assert uid in uids and variable in names_of_variables(boards()[uid.removeprefix("vmafx-")]), (name, uid, variable)
    assert exemplars > 20 and links >= 4, (exemplars, links)


@case
def provisioning_ties_metrics_traces_and_logs_together():
    sources = {one["uid"]: one for one in
               signals.yaml_of((FOLDER / "provisioning/datasources/vmafx.yaml").read_text(encoding="utf-8"))[0]["datasources"]}
    by_type = {one["type"]: one for one in sources.values()}
    assert set(by_type) == {"prometheus", "tempo", "loki"}, by_type
    exemplar = by_type["prometheus"]["jsonData"]["exemplarTraceIdDestinations"][0]
    assert exemplar["name"] == "trace_id" and sources[exemplar["datasourceUid"]]["type"] == "tempo", exemplar
    assert sources[by_type["tempo"]["jsonData"]["tracesToLogsV2"]["datasourceUid"]]["type"] == "loki"
    assert sources[by_type["loki"]["jsonData"]["derivedFields"][0]["datasourceUid"]]["type"] == "tempo"
    provider = signals.yaml_of((FOLDER / "provisioning/dashboards/vmafx.yaml").read_text(encoding="utf-8"))[0]["providers"][0]
    assert provider["options"]["path"] in signals.read("docs/slo.md")


main()
