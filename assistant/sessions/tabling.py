"""The report of `assistant eval seeing` as Markdown: a table a measure, then what went wrong, with its evidence.

Knows the report's keys, and nothing of how it came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

SHORTENED = 160
"""characters of evidence that are shown of a failure; `--json` has all of it"""


def seeing_tables(report: dict[str, Any]) -> str:
    """The whole report. Rates become percentages; what was not measured is left out."""
    parts = [_modes(report["modes"])] if report["modes"] else []
    figures = {
        "answers in the text that was read": report["ocr_recall"],
        "wrongly refused": report["false_refusals"],
        f"refused of {report['unanswerable']} that cannot be answered": report["refused_unanswerable"],
        f"'this' in {report['frame_choice']['n']} scenes": report["frame_choice"]["inside"],
    }
    rows = [[name, _percent(value)] for name, value in figures.items() if value is not None]
    captions = report["captions"]
    if captions["n"]:
        rows += [[f"CIDEr-D of {captions['n']} captions", captions["cider_d"]], ["BLEU-4", captions["bleu_4"]]]
    if report["left_out"]:
        rows.append(["left out: no picture", report["left_out"]])
    if rows:
        parts.append(table(["measure", "figure"], rows))
    views = {mode: row for mode, row in report["views"].items() if mode != "n"}
    if views:
        head = ["way of fusing", f"sends a view that holds the answer (of {report['views']['n']})", "views sent, mean"]
        parts.append(table(head, [[mode, _percent(row["hold"]), row["sent"]] for mode, row in views.items()]))
    if report["failures"]:
        parts.append("\n".join([f"{len(report['failures'])} failures:", "", *map(_failure, report["failures"])]))
    return "\n\n".join(parts)


def _modes(modes: dict[str, Any]) -> str:
    """A row for all questions, one a kind and one a language, with both rates of each way of fusing side by side."""
    first = next(iter(modes.values()))
    head = ["questions", "n", *(f"{mode}: {what}" for mode in modes for what in _rates_of(first))]
    rows = [["all", first["n"], *(cell for m in modes.values() for cell in _cells(m))]]
    for group in ("by_kind", "by_language"):
        for name, row in first[group].items():
            rows.append([name, row["n"], *(cell for m in modes.values() for cell in _cells(m[group][name]))])
    blanks = [""] * (len(_rates_of(first)) - 1)
    rows.append(["ms, median", "", *(cell for m in modes.values() for cell in (m["ms"], *blanks))])
    return table(head, rows)


def _rates_of(mode: dict[str, Any]) -> list[str]:
    return ["right", "in context", *(["VQA"] if "vqa" in mode else [])]


def _cells(rates: dict[str, Any]) -> list[str]:
    return [_percent(rates[key]) for key in ("accuracy", "context_recall", "vqa") if key in rates]


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{100 * rate:.1f} %"


def _failure(failure: dict[str, Any]) -> str:
    if "said" in failure:
        return f"- {failure['file']}: {failure['said']} -> {failure['chosen_s']} s, wanted {failure['wanted_s']}"
    at = f" at {failure['at_s']:g} s" if "at_s" in failure else ""
    evidence = " ".join(failure["evidence"].split())
    evidence = evidence if len(evidence) <= SHORTENED else evidence[:SHORTENED] + " …"
    asked = f"- {failure['file']}{at} ({failure['kind']}; {', '.join(failure['modes'])}): {failure['question']}"
    got = f"{failure['answer'] or '(nothing)'} | wanted: {', '.join(failure['accepted'])}"
    return f"{asked} -> {got} | saw: {evidence or 'nothing'}"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; bars inside a cell are kept from ending it."""
    lines = [list(map(_cell, head)), ["---"] * len(head), *([*map(_cell, row)] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
