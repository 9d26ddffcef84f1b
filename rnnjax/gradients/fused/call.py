"""A function of numba as a custom call of XLA: arguments and results by address, and threads that share the streams.

XLA hands a call frame of 64-bit words, whose layout its foreign function interface keeps stable
(`jaxlib/include/xla/ffi/api/c_api.h`). Threads are those of the operating system, and live for one call: a kernel takes
milliseconds, a thread microseconds.
"""

from collections.abc import Callable
from typing import Any

import jax
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

EXTENSION, ARGUMENTS, RESULTS = 1, 9, 14
"""Words of a call frame."""

DATA, DIMENSIONS = 3, 5
"""Words of a buffer."""

IS_QUESTION, METADATA, VERSION = 1, 3, 3
"""An extension that asks for the metadata of a function; the word of its answer, and therein that of the version."""

SPEAKS = 3 << 32
"""Version 0.3 of the interface, that of jaxlib 0.10: the minor number in the upper half of a word."""

FRAME, FIRST, LAST, NAME, STARTED = range(5)
"""Words of a thread's job: the call frame, its first and its last stream, the thread, and if it was started."""

HEAD = 64
"""Bytes of a job."""

create = types.ExternalFunction("pthread_create", types.int32(types.int64, types.int64, types.int64, types.int64))
wait = types.ExternalFunction("pthread_join", types.int32(types.int64, types.int64))


@intrinsic
def word(context, address, index):
    """The 64-bit word at an address."""

    def read(context, builder, signature, given):
        pointer = builder.inttoptr(given[0], ir.IntType(64).as_pointer())
        return builder.load(builder.gep(pointer, [given[1]]))

    return types.int64(types.int64, types.int64), read


@intrinsic
def write(context, address, index, value):
    """Writes a 64-bit word to an address."""

    def code(context, builder, signature, given):
        pointer = builder.inttoptr(given[0], ir.IntType(64).as_pointer())
        builder.store(given[2], builder.gep(pointer, [given[1]]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


@njit
def argument(frame, n):
    """Address of argument n."""
    return word(word(word(frame, ARGUMENTS), n), DATA)


@njit
def result(frame, n):
    """Address of result n."""
    return word(word(word(frame, RESULTS), n), DATA)


@njit
def length(frame, of, n, axis):
    """Length of an axis of argument or result n."""
    return word(word(word(word(frame, of), n), DIMENSIONS), axis)


def divided(part: Callable, streams: tuple[int, int], memory: int) -> Callable:
    """Makes a function of a call frame that computes parts of the streams beside each other, one a thread.

    Args:
      part: (frame, first, last, scratch), computes the streams from first to last.
      streams: the argument, and its axis, whose length is the number of streams.
      memory: the result that is the threads' memory, float32 [threads, n], HEAD bytes of each for its job.
    """
    of, axis = streams

    @njit
    def run(job):
        part(word(job, FRAME), word(job, FIRST), word(job, LAST), job + HEAD)
        return 0

    thread = address_of(run)

    @njit(error_model="numpy")
    def divide(frame):
        B = length(frame, ARGUMENTS, of, axis)
        threads, width = length(frame, RESULTS, memory, 0), 4 * length(frame, RESULTS, memory, 1)
        jobs = result(frame, memory)
        for n in range(threads):
            job = jobs + n * width
            write(job, FRAME, frame)
            write(job, FIRST, n * B // threads)
            write(job, LAST, (n + 1) * B // threads)
            alone = n == threads - 1 or create(job + 8 * NAME, 0, thread(), job) != 0
            write(job, STARTED, 0 if alone else 1)
            if alone:  # the last part is that of the thread which called
                run(job)
        for n in range(threads):
            job = jobs + n * width
            if word(job, STARTED):
                wait(word(job, NAME), 0)

    return divide


def address_of(run: Any) -> Callable:
    """The address, for numba, of a function of a job, as the function of C that a thread begins with."""
    kind, integer = types.int64(types.int64), ir.IntType(64)

    def code(context, builder, signature, given):
        compiled = run.overloads[kind.args]
        context.active_code_library.add_linking_library(compiled.library)
        name = f"thread_of_{compiled.fndesc.mangled_name}"
        function = ir.Function(builder.module, ir.FunctionType(integer, [integer]), name)
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block())
        context.call_internal_no_propagate(inside, compiled.fndesc, kind, function.args)
        inside.ret(ir.Constant(integer, 0))
        return builder.ptrtoint(function, integer)

    def typed(context):
        run.compile(kind.args)
        return types.int64(), code

    return intrinsic(typed)


@njit
def answered(frame):
    """True of a call that only asks for the version of the interface, which is then written."""
    question = word(frame, EXTENSION)
    if question == 0 or word(question, 1) & 0xFFFFFFFF != IS_QUESTION:
        return False
    write(word(question, METADATA), VERSION, SPEAKS)
    return True


def register(name: str, function: Any) -> None:
    """Makes a compiled function known to XLA's programs of a CPU."""
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(function.ctypes), platform="cpu")
