"""Modules that are called like functions. `rnnjax.train` is both the door of a command and a function of the library:
once the door has been imported, the package's attribute of this name is the module, so the module itself answers."""

from types import ModuleType
from typing import Any


class CallableModule(ModuleType):
    """A module that, when called, calls its function of the same name.

    A module takes it by `sys.modules[__name__].__class__ = CallableModule`.
    """

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*arguments, **options)
