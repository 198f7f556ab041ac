# SPDX-License-Identifier: BSD-2-Clause-Patent
"""The dashboards of deploy/grafana, and what they ask."""
import json

import signals

FOLDER = signals.ROOT / "deploy/grafana"


def boards():
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((FOLDER / "dashboards").glob("*.json"))}


def targets(board):
    """(panel, target) of all of its queries."""
    return [(panel, target) for panel in board["panels"] for target in panel.get("targets", [])]


def names_of_variables(board):
    return [variable["name"] for variable in board["templating"]["list"]]


def expressions():
    """(board, panel's title, PromQL) of all boards, annotations and choices included."""
    for name, board in boards().items():
        variables = names_of_variables(board)
        for panel, target in targets(board):
            if target["datasource"]["type"] == "prometheus":
                yield name, panel["title"], signals.plain(target["expr"], variables)
        for note in board["annotations"]["list"]:
            yield name, note["name"], note["expr"]
