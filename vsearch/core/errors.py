"""Errors that a user or operator can act on. The message says what is wrong and what to do.

The command line prints the message and exits with 1; `webui.errors` maps errors to HTTP statuses. Any other exception
is a bug and keeps its traceback.
"""

from vsearch.core.redaction import redact


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type, for use within a sentence."""
    return str(error).strip().partition("\n")[0].rstrip(".:") or type(error).__name__


class Phrase(str):
    """A value of an error's message that is itself text, so it is translated as well."""

    __slots__ = ()


class VSearchError(Exception):
    """Base class of all errors that a user or operator can act on.

    Messages that shoppers can see are translated, so their values are given apart: `NotAnImage("%(size)s px", size=5)`.

    Attributes:
        text: the message before its values are filled in.
        values: the values by name; text that is not a `Phrase` is shown as it is.
    """

    def __init__(self, text: str = "", **values: object) -> None:
        super().__init__(text % values if values else text)
        self.text, self.values = text, values

    def __str__(self) -> str:
        """Return the message, with passwords and keys in URLs hidden."""
        return redact(super().__str__())


class SettingsError(VSearchError):
    """A setting is unknown or invalid."""


class ImageRejected(VSearchError):
    """The file is not accepted as an image."""


class ImageTooLarge(ImageRejected):
    """The image has too many bytes or pixels; detected before decoding."""


class NotAnImage(ImageRejected):
    """The file is empty, truncated, or not an image."""


class InvalidRequest(VSearchError):
    """A search parameter is invalid."""


class MissingPhoto(InvalidRequest):
    """A request should contain a photo, but contains none or an empty file."""


class AccountError(VSearchError):
    """An account cannot be added or changed."""


class UnknownClass(InvalidRequest):
    """The index has no class with that name."""


class CheckpointError(VSearchError):
    """A model cannot be used."""


class CheckpointMissing(CheckpointError):
    """The checkpoint does not exist."""


class CheckpointMismatch(CheckpointError):
    """The files of a checkpoint do not belong together, or the checkpoint does not suit its use."""


class WeightsUnavailable(CheckpointError):
    """Pretrained weights are not on this machine and cannot be downloaded."""


class TrainingUnavailable(VSearchError):
    """The packages that training needs are not installed."""


class GenerationError(VSearchError):
    """A published index cannot be used."""


class NoGeneration(GenerationError):
    """No index has been published yet."""


class GenerationCorrupt(GenerationError):
    """A file of a generation is missing, modified, or in an unsupported format."""


class VerificationFailed(GenerationError):
    """A new generation failed its checks and was not published."""


class CatalogError(VSearchError):
    """The SQL catalog cannot be used, or does not contain what was requested."""


class CatalogMissing(CatalogError):
    """The catalog has not been created: there is no file, or the database has no tables."""


class SchemaMismatch(CatalogError):
    """The catalog's schema belongs to an older or newer version of vsearch."""


class BackupError(VSearchError):
    """A backup cannot be made or restored."""


class UploadsUnavailable(VSearchError):
    """Shoppers' photos cannot be stored."""


class FeedRejected(VSearchError):
    """A product feed is rejected as a whole."""


class AddressRefused(VSearchError):
    """A URL cannot be fetched: it is private, too large, too slow, or missing."""


class RunInProgress(VSearchError):
    """Another index run or training run holds the lock."""


class PromotionRefused(VSearchError):
    """A model is not allowed to replace the one in use."""


class EncodingFailed(VSearchError):
    """Too many images could not be encoded."""


class PlanError(VSearchError):
    """A training plan is invalid."""


class DatasetError(VSearchError):
    """A data set for training or evaluation is invalid."""
