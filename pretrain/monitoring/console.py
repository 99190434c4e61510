"""What a person reads of a run while it trains."""

from collections.abc import Mapping, Sequence

from pretrain.objectives.config import Headline


def console_line(
    step: int,
    stop: int,
    values: Mapping[str, float | None],
    headlines: Sequence[Headline],
    peak: float | None,
    devices: int,
    left: float,
) -> str:
    """The line that a person reads.

    - `values`: as `MetricsWriter.write` gets them.
    - `headlines`: the objective's, which come first.
    - `peak`: of one device in TFLOP/s, the denominator of MFU.
    - `left`: time to go in seconds.
    """
    utilisation = values["mfu"]
    first = ", ".join(f"{each.title} {values[each.metric]:{each.style}}" for each in headlines)
    mfu = "n/a" if utilisation is None else f"{utilisation:.1%} of {devices} x {peak:g} TFLOP/s"
    return (
        f"step {step}/{stop}: {first}, "
        f"learning rate {values['learning_rate']:.2e}, {values['tokens_per_second']:,.0f} tokens/s, MFU {mfu}, "
        f"data wait {values['data_wait']:.1%}, {duration(left)} left"
    )


def duration(seconds: float) -> str:
    """Seconds as a person says them: "2 d 3 h", "1 h 05 min", "2 min 10 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
