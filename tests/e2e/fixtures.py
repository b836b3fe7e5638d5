"""fixtures.py: the tensors of a safetensors file, without its package; those of types that numpy lacks as their bytes."""
import json

import numpy as np

TYPES = {"U8": np.uint8, "I8": np.int8, "I32": np.int32, "F16": np.float16, "F32": np.float32, "BF16": np.uint16, "F8_E4M3": np.uint8}


def tensors_of(path):
    with open(path, "rb") as f:
        data = f.read()
    size = int.from_bytes(data[:8], "little")
    return {name: np.frombuffer(data, TYPES[t["dtype"]], (t["data_offsets"][1] - t["data_offsets"][0]) // np.dtype(TYPES[t["dtype"]]).itemsize,
                                8 + size + t["data_offsets"][0]).reshape(t["shape"])
            for name, t in json.loads(data[8:8 + size]).items() if name != "__metadata__"}
