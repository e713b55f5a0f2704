"""The table of a run in Markdown, the worst rows first."""

import math
from collections.abc import Iterable
from typing import Any

HEAD = (
    "row",
    "result",
    "of the matmul peak %",
    "of the bandwidth %",
    "others / ours",
    "first call s (start, trace, compile)",
)
# The order of kinds of rows; within a kind the smallest share comes first.
BROKEN, FAILED, MEASURED, WHOLE, CARD, LEFT_OUT, NOT_REACHED = range(7)
UNFINISHED = {"left out": LEFT_OUT, "not reached": NOT_REACHED}


def worst_first(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows in their order: parity beyond its limit, errors, what is slowest."""
    rows = list(rows)
    peaks = roofs(rows)
    return sorted(rows, key=lambda row: rank(row, peaks))


def rank(row: dict[str, Any], peaks: dict[str, float]) -> tuple[int, float]:
    """(kind, share): a row with a smaller one is worse.

    The share of what is measured: of the nearer of the card's roofs, or the time of the
    fastest of the others by ours. Of parity: how many times the error fits its limit.
    """
    if row["state"] in UNFINISHED:
        return UNFINISHED[row["state"]], 0.0
    if row["state"] != "done":
        return FAILED, 0.0
    if "margin" in row:
        return (WHOLE if row["margin"] >= 1 else BROKEN), row["margin"]
    if "per_second" in row:
        return CARD, 0.0
    shares = [*ratios(row).values()] or [max(of_roofs(row, peaks), default=math.inf)]
    return MEASURED, min(shares)


def roofs(rows: Iterable[dict[str, Any]]) -> dict[str, float]:
    """What the card does in a second, by the name of its row."""
    return {
        row["name"]: row["per_second"]
        for row in rows
        if row["state"] == "done" and "per_second" in row
    }


def ratios(row: dict[str, Any]) -> dict[str, float]:
    """Time of each of the others by ours."""
    times = row.get("ms", {})
    return {name: ms / times["ours"] for name, ms in times.items() if name != "ours"}


def of_roofs(row: dict[str, Any], peaks: dict[str, float]) -> list[float]:
    """Shares of the card's roofs that a row's rates are, of those that are known."""
    seconds = row["ms"]["ours"] / 1e3
    return [
        row[count] / seconds / peaks[roof]
        for count, roof in (("flops", "card: matmul"), ("bytes", "card: copy"))
        if count in row and roof in peaks
    ]


def cells(row: dict[str, Any], peaks: dict[str, float]) -> tuple[str, ...]:
    """The cells of HEAD."""
    blank = ("-",) * 4
    if row["state"] != "done":
        reason = row.get("reason", "")
        return (
            row["name"],
            f"{row['state']}: {reason}" if reason else row["state"],
            *blank,
        )
    if "errors" in row:
        return row["name"], _parity(row), *blank
    shares = dict(zip(("flops", "bytes"), of_roofs(row, peaks), strict=False))
    shares = {} if "per_second" in row or len(shares) < 2 else shares
    others = [f"{name} {ratio:.2f}" for name, ratio in ratios(row).items()]
    others += [f"{name}: {reason}" for name, reason in row.get("without", {}).items()]
    return (
        row["name"],
        _rate(row),
        *(
            f"{100 * shares[one]:.1f}" if one in shares else "-"
            for one in ("flops", "bytes")
        ),
        "; ".join(others) or "-",
        _first(row),
    )


def write(document: dict[str, Any]) -> str:
    """The whole text."""
    rows = worst_first(document["rows"])
    peaks = roofs(rows)
    lines = [
        f"# {document['card']}",
        "",
        f"`{document['machine']}`; library {document['library']}, commit "
        f"{document['commit']}. Made by `{document['command']}`; the worst first: "
        "parity beyond its limit, errors, then the smallest share of the nearer of the "
        "card's two roofs or of the time of the fastest other.",
        "",
        _line(HEAD),
        _line(["---"] * len(HEAD)),
        *(_line(cells(row, peaks)) for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _line(row):
    return f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _parity(row):
    parts = []
    for name, error in row["errors"].items():
        found = "not finite" if error is None or math.isnan(error) else f"{error:.1e}"
        parts.append(f"{name} {found} (limit {row['limits'][name]:.0e})")
    verdict = "within" if row["margin"] >= 1 else "BEYOND ITS LIMIT"
    return f"{verdict}: {', '.join(parts)}"


def _rate(row):
    ms = row["ms"]["ours"]
    if "per_second" in row:
        unit = "TFLOP/s" if "flops" in row else "TB/s"
        return f"{row['per_second'] / 1e12:.3g} {unit}"
    if "unit" in row:
        return f"{1e3 * row['count'] / ms:,.0f} {row['unit']}/s ({ms:.4g} ms)"
    return f"{ms:.4g} ms"


def _first(row):
    if "first_s" not in row:
        return "-"
    parts = (row[name] for name in ("init_s", "trace_s", "compile_s"))
    return f"{row['first_s']:.1f} ({', '.join(f'{part:.1f}' for part in parts)})"
