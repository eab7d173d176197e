"""Updates that are left out, and when that has gone on for too long."""

from speechbrain.utils.logger import get_logger

logger = get_logger(__name__)

SCALER_SEARCH = 16
"""Steps a GradScaler may skip while it looks for its scale (from 2 ** 16)."""


class SkippedUpdates:
    """Count of skipped updates.

    Arguments
    ---------
    patience : int
        How many in a row are allowed (run option nonfinite_patience).
    tolerant : bool
        Whether a non-finite gradient may be left out (skip_nonfinite_grads).
    scaler : torch.GradScaler
        Skips by design while it lowers its scale, if enabled.

    Example
    -------
    >>> import torch
    >>> skips = SkippedUpdates(3, True, torch.GradScaler(enabled=False))
    >>> skips.add(update=7, gradient_norm=float("nan"), empty=False)
    >>> skips.total
    1
    """

    def __init__(self, patience, tolerant, scaler):
        searching = scaler.is_enabled()
        self.patience = patience + SCALER_SEARCH * searching
        self.tolerant = tolerant or searching
        self.total = 0
        self.in_a_row = 0

    def add(self, update, gradient_norm, empty):
        """Count a skipped update.

        Arguments
        ---------
        update : int
            Its number, counted from 1.
        gradient_norm : float
        empty : bool
            Whether it had no targets, which is always tolerated.

        Raises
        ------
        FloatingPointError
            When it may not be skipped, or too many were in a row.
        """
        reason = "no targets" if empty else f"gradient norm {gradient_norm}"
        self.total += 1
        self.in_a_row += 1
        if not empty and not self.tolerant:
            raise FloatingPointError(
                f"Update {update}: {reason}; a step would poison all weights. "
                "Lower the learning rate or lengthen the warm-up, or set "
                "`skip_nonfinite_grads: True` to leave such updates out."
            )
        if self.in_a_row > self.patience:
            raise FloatingPointError(
                f"Update {update} was skipped {self.in_a_row} times in a row "
                f"({reason}), {self.patience} are allowed (nonfinite_patience)."
                " Look for bad input, lower the learning rate, or use bf16 "
                "instead of fp16."
            )
        logger.warning(f"Update {update} skipped: {reason}.")

    def end_row(self):
        """Note that an update was made."""
        self.in_a_row = 0
