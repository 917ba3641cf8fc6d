"""An encoder that shares nothing with ours: Google's protobuf runtime, on descriptors that are built here.

What: `payload`, `alerts`, `errors`, `connectivity` make what fleet-telemetry's server publishes, in protobuf or (by the runtime's
own JSON) as with `transmit_decoded_records`. Why: who writes both sides of a wire may be wrong on both in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory, timestamp_pb2

F = descriptor_pb2.FieldDescriptorProto
TAGS = {"component": "camera"}
TIME = ".google.protobuf.Timestamp"
ENUMS = {
    "Field": {
        "Unknown": 0, "VehicleSpeed": 4, "Odometer": 5, "Soc": 8, "Gear": 10, "Location": 21, "ModuleTempMax": 29, "DoorState": 58, "Locked": 59,
        "Version": 68, "InsideTemp": 85, "CarType": 113, "DetailedChargeState": 179, "TpmsHardWarnings": 224,
        "Later": 300,
    },
    "ShiftState": {
        "ShiftStateUnknown": 0, "ShiftStateInvalid": 1, "ShiftStateP": 2, "ShiftStateR": 3, "ShiftStateN": 4,
        "ShiftStateD": 5, "ShiftStateSNA": 6, "ShiftStateLater": 77,
    },
    "CarTypeValue": {"CarTypeUnknown": 0, "CarTypeModelS": 1, "CarTypeModelX": 2, "CarTypeModel3": 3, "CarTypeModelY": 4},
    "DetailedChargeStateValue": {"DetailedChargeStateUnknown": 0, "DetailedChargeStateCharging": 4},
    "Audience": {"UnknownAudience": 0, "Customer": 1, "Service": 2, "Service_fix": 3},
    "ConnectivityEvent": {"UNKNOWN": 0, "CONNECTED": 1, "DISCONNECTED": 2},
}  # fmt: skip
#: Message -> fields: (number, name, type, repeated).
MESSAGES = {
    "LocationValue": [(1, "latitude", "double"), (2, "longitude", "double")],
    "Doors": [
        (n, name, "bool")
        for n, name in enumerate(
            ("DriverFront", "DriverRear", "PassengerFront", "PassengerRear", "TrunkFront", "TrunkRear"), 1
        )
    ],
    "TireLocation": [
        (n, name, "bool") for n, name in enumerate(("front_left", "front_right", "rear_left", "rear_right"), 1)
    ],
    "Time": [(1, "hour", "int32"), (2, "minute", "int32"), (3, "second", "int32")],
    "Value": [
        (1, "string_value", "string"), (2, "int_value", "int32"), (3, "long_value", "int64"), (4, "float_value", "float"),
        (5, "double_value", "double"), (6, "boolean_value", "bool"), (7, "location_value", "LocationValue"),
        (9, "shift_state_value", "ShiftState"), (10, "invalid", "bool"), (17, "car_type_value", "CarTypeValue"),
        (21, "door_value", "Doors"), (31, "time_value", "Time"), (32, "detailed_charge_state_value", "DetailedChargeStateValue"),
        (39, "tire_location_value", "TireLocation"), (99, "later_value", "string"),
    ],
    "Datum": [(1, "key", "Field"), (2, "value", "Value")],
    "Payload": [(1, "data", "Datum", True), (2, "created_at", TIME), (3, "vin", "string"), (4, "is_resend", "bool")],
    "VehicleAlert": [(1, "name", "string"), (2, "audiences", "Audience", True), (3, "started_at", TIME), (4, "ended_at", TIME)],
    "VehicleAlerts": [(1, "alerts", "VehicleAlert", True), (2, "created_at", TIME), (3, "vin", "string")],
    "VehicleError": [(1, "created_at", TIME), (2, "name", "string"), (3, "tags", "TagsEntry", True), (4, "body", "string")],
    "VehicleErrors": [(1, "errors", "VehicleError", True), (2, "created_at", TIME), (3, "vin", "string")],
    "VehicleConnectivity": [
        (1, "vin", "string"), (2, "connection_id", "string"), (3, "status", "ConnectivityEvent"), (4, "created_at", TIME),
        (5, "network_interface", "string"),
    ],
}  # fmt: skip
#: Message -> its field that is a map of strings: the type of an entry, as a compiler makes it.
MAPS = {"VehicleError": "TagsEntry"}
SCALARS = {
    "string": F.TYPE_STRING, "int32": F.TYPE_INT32, "int64": F.TYPE_INT64, "float": F.TYPE_FLOAT, "double": F.TYPE_DOUBLE,
    "bool": F.TYPE_BOOL,
}  # fmt: skip


def _file() -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(
        name="fleet_test.proto", package="fleet_test", syntax="proto3", dependency=[timestamp_pb2.DESCRIPTOR.name]
    )
    for name, symbols in ENUMS.items():
        enum = made.enum_type.add(name=name)
        for symbol, number in symbols.items():
            enum.value.add(name=symbol, number=number)
    for name, told in MESSAGES.items():
        message = made.message_type.add(name=name)
        if name == "Value":
            message.oneof_decl.add(name="value")
        if name in MAPS:
            entry = message.nested_type.add(name=MAPS[name])
            entry.options.map_entry = True
            for number, field in ((1, "key"), (2, "value")):
                entry.field.add(name=field, number=number, label=F.LABEL_OPTIONAL, type=F.TYPE_STRING)
        for number, field, kind, *repeated in told:
            one = message.field.add(name=field, number=number, label=F.LABEL_REPEATED if repeated else F.LABEL_OPTIONAL)
            if kind in SCALARS:
                one.type = SCALARS[kind]
            else:
                one.type = F.TYPE_ENUM if kind in ENUMS else F.TYPE_MESSAGE
                inside = f"{name}." if MAPS.get(name) == kind else ""
                one.type_name = kind if kind.startswith(".") else f".fleet_test.{inside}{kind}"
            if name == "Value":
                one.oneof_index = 0
    return made


POOL = descriptor_pool.DescriptorPool()
POOL.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
POOL.Add(_file())


def made(name: str, /, **fields):
    """A message of the runtime."""
    return message_factory.GetMessageClass(POOL.FindMessageTypeByName(f"fleet_test.{name}"))(**fields)


def stamp(at_ms: int) -> dict[str, int]:
    return {"seconds": at_ms // 1000, "nanos": at_ms % 1000 * 1_000_000}


def payload(at_ms: int, values: dict, vin: str = "", *, resend: bool = False):
    """`values`: name of the signal -> (field of Value, its value); None: a datum without a value."""
    data = [
        made("Datum", key=key, value=None if told is None else made("Value", **{told[0]: told[1]}))
        for key, told in values.items()
    ]
    return made("Payload", data=data, created_at=stamp(at_ms), vin=vin, is_resend=resend)


def alerts(at_ms: int, told: list[tuple[str, int, int]], vin: str = "", audiences: Sequence[int] = (1, 2)):
    """`told`: (name, started, ended or 0) each."""
    found = [
        made(
            "VehicleAlert",
            name=name,
            audiences=audiences,
            started_at=stamp(started),
            ended_at=stamp(ended) if ended else None,
        )
        for name, started, ended in told
    ]
    return made("VehicleAlerts", alerts=found, created_at=stamp(at_ms), vin=vin)


def errors(at_ms: int, told: list[tuple[str, int]], vin: str = "", tags: Mapping[str, str] = TAGS):
    found = [
        made("VehicleError", name=name, created_at=stamp(at), body="secret words", tags=dict(tags)) for name, at in told
    ]
    return made("VehicleErrors", errors=found, created_at=stamp(at_ms), vin=vin)


def connectivity(at_ms: int, connection: str, status: str, vin: str = "", interface: str = "wifi"):
    return made(
        "VehicleConnectivity", vin=vin, connection_id=connection, status=status, created_at=stamp(at_ms), network_interface=interface
    )  # fmt: skip


def encoded(message, *, as_json: bool = False) -> bytes:
    """As the server writes it."""
    if as_json:
        return json_format.MessageToJson(message, always_print_fields_with_no_presence=True, indent=None).encode()
    return message.SerializeToString()
