"""The errors a user can cause, each also a builtin so that callers need not import this module to catch it.

A message is one sentence: where, what was expected, what was got, what to do.
"""


class UnetliteError(Exception):
    """Base of every error that this toolkit raises on purpose."""


class ImageError(UnetliteError, ValueError):
    """A picture that cannot be read or has no usable pixels."""


class GroundTruthError(UnetliteError, ValueError):
    """A mask, polygon or manifest that does not describe its picture."""


class DatasetError(UnetliteError, ValueError):
    """A folder that holds no usable data set."""


class InvalidQuadError(UnetliteError, ValueError):
    """Four corners that enclose no convex area."""


class ContractError(UnetliteError, ValueError):
    """A model file whose contract is missing, of another version, or contradicts its tensors."""


class ModelError(UnetliteError, ValueError):
    """A file that is no model this toolkit can run."""


class CalibrationError(UnetliteError, ValueError):
    """A representative data set that would break the quantized model."""


class ExportError(UnetliteError, RuntimeError):
    """A conversion that failed or whose result is not fit to ship."""


class MissingExtraError(UnetliteError, ImportError):
    """An optional dependency that is not installed; the message names the exact `pip install`."""


class SettingsError(UnetliteError, ValueError):
    """Options that do not fit each other, or the model they are meant for."""


class OutputError(UnetliteError, OSError):
    """A result that could not be written."""


class DownloadError(UnetliteError, OSError):
    """A file that could not be fetched, or an archive that is not safe to unpack."""


class RemoteError(UnetliteError, OSError):
    """A device that could not be reached over SSH, or that could not do what it was asked."""
