"""Every failure a person can do something about.

VSearchError                        shown to the person as one sentence: the rule, what was received, the remedy
 |- SettingsError                   a setting is unknown or has a value it cannot have
 |- ImageRejected                   the bytes are no picture we take
 |   |- ImageTooLarge               too many bytes or pixels, found before decoding
 |   `- NotAnImage                  empty, truncated, or not a picture at all
 |- UnknownClass                    a class name that the live generation does not hold
 |- InvalidRequest                  a search parameter that makes no sense
 |- CheckpointError                 a model cannot be used
 |   |- CheckpointMissing           there is none where one was named
 |   |- CheckpointMismatch          its files do not belong together
 |   `- WeightsUnavailable          pretrained weights are neither here nor to be downloaded
 |- GenerationError                 a published index cannot be used
 |   |- NoGeneration                nothing has been published yet
 |   |- GenerationCorrupt           a file is missing or differs from its checksum
 |   `- VerificationFailed          a new generation did not pass its checks and was not published
 |- CatalogueError                  the SQL catalogue cannot be used, or does not know what was asked for
 |   |- CatalogueMissing            nothing was ever imported
 |   `- SchemaMismatch              the catalogue's tables are those of an older or a newer version
 |- UploadsUnavailable              shoppers' photos cannot be stored
 |- FeedRejected                    a product feed cannot be taken as a whole
 |- AddressRefused                  a web address gives no file that we take
 |- RunInProgress                   another index run or training holds the lock
 |- PromotionRefused                a model may not take the place of the one in use
 |- EncodingFailed                  too many pictures could not be encoded
 |- PlanError                       a training plan is not valid
 `- DatasetError                    a data set for training or evaluation is not what it should be

The command line prints one line and exits with 1; `webui.errors` is the only place that knows HTTP statuses.
Anything else that is raised is a bug and keeps its traceback.
"""

from vsearch.core.redaction import redact


class VSearchError(Exception):
    """A failure that is the person's to correct; its text is one sentence fit to be shown."""

    def __str__(self) -> str:
        """Return the sentence; passwords and keys of addresses in it are hidden."""
        return redact(super().__str__())


class SettingsError(VSearchError):
    """A setting is unknown or has a value it cannot have."""


class ImageRejected(VSearchError):
    """The bytes are no picture we take."""


class ImageTooLarge(ImageRejected):
    """Too many bytes or too many pixels; decided before decoding."""


class NotAnImage(ImageRejected):
    """Empty, truncated, or not a picture at all."""


class UnknownClass(VSearchError):
    """A class name that the live generation does not hold."""


class InvalidRequest(VSearchError):
    """A search parameter that makes no sense."""


class CheckpointError(VSearchError):
    """A model cannot be used."""


class CheckpointMissing(CheckpointError):
    """There is no checkpoint where one was named."""


class CheckpointMismatch(CheckpointError):
    """The files of a checkpoint do not belong together."""


class WeightsUnavailable(CheckpointError):
    """Pretrained weights are neither on this machine nor to be downloaded."""


class GenerationError(VSearchError):
    """A published index cannot be used."""


class NoGeneration(GenerationError):
    """Nothing has been published yet."""


class GenerationCorrupt(GenerationError):
    """A file of a generation is missing or differs from its checksum."""


class VerificationFailed(GenerationError):
    """A new generation did not pass its checks and was not published."""


class CatalogueError(VSearchError):
    """The SQL catalogue cannot be used, or does not know what was asked for."""


class CatalogueMissing(CatalogueError):
    """There is no catalogue yet: no file, or a database without tables."""


class SchemaMismatch(CatalogueError):
    """The catalogue's tables are those of an older or a newer version of this program."""


class UploadsUnavailable(VSearchError):
    """Shoppers' photos cannot be stored: their folder is read-only, full, or not a folder."""


class FeedRejected(VSearchError):
    """A product feed cannot be taken as a whole."""


class AddressRefused(VSearchError):
    """A web address gives no file that we take: private, too large, too slow, or not there."""


class RunInProgress(VSearchError):
    """Another index run or training holds the lock."""


class PromotionRefused(VSearchError):
    """A model may not take the place of the one in use."""


class EncodingFailed(VSearchError):
    """Too many pictures could not be encoded."""


class PlanError(VSearchError):
    """A training plan is not valid."""


class DatasetError(VSearchError):
    """A data set for training or evaluation is not what it should be."""
