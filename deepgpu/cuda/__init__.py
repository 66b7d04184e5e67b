"""PyTorch's ``torch.cuda``: which GPUs there are, their memory, streams, events and graphs.

Without a GPU, ``is_available()`` is False and most of the rest is an error that says what is missing. Under
``DEEPGPU_CUDA=emulate``, or inside :func:`deepgpu.testing.emulated_cuda`, all of it works on the CPU.
"""

from deepgpu.cuda import amp, graphs, memory, random, streams
from deepgpu.cuda.devices import (
    current_device,
    device,
    device_count,
    device_of,
    get_device_capability,
    get_device_name,
    get_device_properties,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    set_device,
    synchronize,
)
from deepgpu.cuda.graphs import (
    CUDAGraph,
    graph,
    graph_pool_handle,
    is_current_stream_capturing,
    make_graphed_callables,
)
from deepgpu.cuda.memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_max_memory_allocated,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)
from deepgpu.cuda.random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from deepgpu.cuda.streams import (
    Event,
    ExternalStream,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    set_stream,
    stream,
)
from deepgpu.errors import OutOfMemoryError
