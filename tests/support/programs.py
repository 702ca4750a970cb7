"""Programs of other projects that tests run: found, or installed from Debian where that can be done."""

import shutil

from tiercast_local import debian
from tiercast_local.errors import LocalError


def find_program(name: str, package: str | None = None) -> str | None:
    """The path of a program; its Debian `package` is installed when it is missing and we may. None when it cannot be had."""
    if shutil.which(name) is None and package is not None and debian.can_install():
        try:
            debian.install(package)
        except LocalError as error:
            print(error)
    return shutil.which(name)
