"""The front door: the ``driftline`` command, the embedded broker, the local demo and the subscriber SDK.

No domain logic lives here. Commands belong to the folder whose work they do; ``driftline.cli`` only names them.
"""

__version__ = "0.1.0"
