"""A study as a page: the verdict, the parameters, how the search went, and where in the space the good points lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from offline.page import Page
from offline.plots import COLOURS, INK, create_figure, svg_of
from offline.tuning.result import StudyResult, span_text, value_text
from offline.tuning.space import PARAMETERS
from offline.tuning.trial import complete

N_SHOWN = 6


def tuning_page(result: StudyResult, workload_name: str) -> Page:
    """The page of a study."""
    content = result.content()
    page = Page(
        f"Tuning of {workload_name}",
        f"Study {result.name}: {content['n_trials']} trials by {result.inputs['method']}, "
        f"{content['n_pruned']} pruned, {len(result.folds)} folds in time; the test cut-offs took no part.",
    )
    page.text(result.gain.text(result.criterion), "good" if result.gain.is_worth_it else "plain")
    _parameters(page, result)
    page.heading("How the search went")
    page.plot(_course(result), f"{result.criterion.words} of each trial, mean over folds; the line is the best so far")
    page.heading("Where the good points lie")
    page.plot(_slices(result), "complete trials; the dashed line is the default")
    _folds(page, result)
    page.heading("Data")
    window = result.inputs["data_window"]
    page.points(
        [
            f"{window['n_events']:,} events, known until {window['known_until_day']}",
            f"labels up to {content['labels_until']} took part in the choice",
            f"seed {result.inputs['seed']}, {', '.join(f'{k} {v}' for k, v in result.inputs['libraries'].items())}",
        ]
    )
    return page


def _parameters(page: Page, result: StudyResult) -> None:
    page.heading("Parameters")
    share = result.importance or {}
    page.table(
        ("parameter", "best", "default", "searched", "share of variance", "what it does"),
        [
            (name, value_text(value), value_text(PARAMETERS[name].default), PARAMETERS[name].bounds,
             f"{share[name]:.0%}" if name in share else None, PARAMETERS[name].why)
            for name, value in sorted(result.best.params.items(), key=lambda item: -share.get(item[0], 0.0))
        ],
        "share of variance: by each parameter alone, over the whole space (fANOVA)"
        if share
        else "too few complete trials to say which parameter matters",
    )  # fmt: skip
    page.table(
        ("", "value (95 % interval)"),
        [
            (f"best: trial {result.best.number}", f"{result.best.value:.4f}"),
            ("defaults: trial 0", f"{result.trials[0].value:.4f}"),
            ("gain on the folds that chose it", span_text(result.gain.on_folds)),
            ("gain to expect elsewhere", span_text(result.gain.expected)),
        ],
        f"{result.criterion.words}; a gain above 0 is better than the defaults, intervals by customer",
    )


def _folds(page: Page, result: StudyResult) -> None:
    page.heading("Folds")
    page.table(
        ("trained on", "judged on", "rows to train on", "rows judged", "leavers", "defaults", "best"),
        [
            (_span(fold["fit"]), _span(fold["judge"]), *(fold[n] for n in ("n_fit", "n_judged", "n_positive")), *values)
            for fold, *values in zip(result.folds, result.trials[0].values, result.best.values, strict=True)
        ],
        "a label horizon lies between; no label is known on one side before it is judged on the other",
    )  # fmt: skip


def _span(days: list[str]) -> str:
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days)})"


def _course(result: StudyResult) -> str:
    figure, axes = create_figure()
    axis, judged = axes[0][0], complete(result.trials)
    pruned = [trial for trial in result.trials if trial.is_pruned]
    axis.scatter([t.number for t in judged], [t.value for t in judged], s=12, color=COLOURS[0], label="complete")
    if pruned:
        axis.scatter([t.number for t in pruned], [t.value for t in pruned], s=12, marker="x", color=COLOURS[5],
                     label="pruned: folds so far")  # fmt: skip
    values = np.array([t.value for t in judged]) * result.criterion.sign
    so_far = np.maximum.accumulate(values) * result.criterion.sign
    axis.step([t.number for t in judged], so_far, where="post", color=INK, linewidth=1)
    axis.set_xlabel("trial")
    axis.legend()
    return svg_of(figure)


def _slices(result: StudyResult) -> str:
    """Value against each of the parameters that matter most."""
    share = result.importance or {}
    names = sorted(result.best.params, key=lambda name: -share.get(name, 0.0))[:N_SHOWN]
    figure, axes = create_figure(2, 3, width=9.0, height=5.0)
    judged = complete(result.trials)
    for axis, name in zip(axes.ravel(), names, strict=False):
        _slice(axis, name, judged)
    for axis in axes.ravel()[len(names) :]:
        axis.set_visible(False)
    return svg_of(figure)


def _slice(axis: Any, name: str, judged: list[Any]) -> None:
    parameter, values = PARAMETERS[name], [trial.value for trial in judged]
    found, default = [trial.params[name] for trial in judged], parameter.default
    if parameter.kind == "choice":
        axis.scatter([parameter.choices.index(x) for x in found], values, s=12)
        axis.set_xticks(range(len(parameter.choices)), [value_text(choice) for choice in parameter.choices])
        axis.axvline(parameter.choices.index(default), color=INK, linestyle="--", linewidth=0.8)
    else:
        axis.scatter(found, values, s=12)
        if parameter.log:
            axis.set_xscale("log")
            ticks = [parameter.low, float(default or 0), parameter.high]
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.set_xticks([], minor=True)
        axis.axvline(default, color=INK, linestyle="--", linewidth=0.8)
    axis.set_xlabel(name)
