"""Record batches as producers make them, by aiokafka's compiled builder."""

import struct

from aiokafka.record._crecords import default_records
from aiokafka.record.util import calc_crc32c

CODECS = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CRC_AT, CRC_FROM = 17, 21


def batch(base: int, values: list[bytes | None], codec: int = 0, keys: list[bytes | None] | None = None) -> bytearray:
    builder = default_records.DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 28)
    for index, value in enumerate(values):
        builder.append(index, 1_000 + index, b"k" if keys is None else keys[index], value, [])
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, base)
    return made


def signed(made: bytearray) -> bytearray:
    struct.pack_into(">I", made, CRC_AT, calc_crc32c(bytes(made[CRC_FROM:])))
    return made
