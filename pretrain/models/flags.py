"""The flags of how a model is computed, which training and the commands for trained models call differently. No JAX here."""

from data_pipeline.contract.recipe_fields import flag


def flags_of(field: str, value: str = "") -> str:
    """Both flags of a field that TrainingRecipe and Hardware have, with a value that is advised:

    `--training.attention xla (--hardware.attention xla for a trained model)`.
    """
    training, hardware = (f"{flag(part, field)} {value}".strip() for part in ("training", "hardware"))
    return f"{training} ({hardware} for a trained model)"
