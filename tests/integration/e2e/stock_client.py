# SPDX-License-Identifier: Apache-2.0
"""stock_client.py SOCKET SERVICE: what a gRPC client without any .proto file can do.

Lists the services by reflection, learns the health service's messages from it, calls it, and
counts the methods of SERVICE. Uses grpcio and protobuf only.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool

try:
    from google.protobuf.message_factory import GetMessageClass as message_class
except ImportError:  # before protobuf 4.22
    from google.protobuf.message_factory import MessageFactory
    message_class = MessageFactory().GetPrototype

REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, bytes) of each length-delimited field; others are skipped."""
    at = 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == 2:
            length, at = read_varint(data, at)
            yield key >> 3, data[at:at + length]
            at += length
        elif key & 7 == 0:
            _, at = read_varint(data, at)
        else:
            raise ValueError(f"wire type {key & 7}")


def ask(channel, number, text):
    """Sends one ServerReflectionRequest with this string field."""
    request = bytes([number << 3 | 2, len(text)]) + text.encode()
    call = channel.stream_stream(REFLECTION, request_serializer=bytes, response_deserializer=bytes)
    return next(iter(call(iter([request]), timeout=10)))


def services(channel):
    for number, listing in fields(ask(channel, 7, "")):
        if number == 6:
            for _, service in fields(listing):
                yield dict(fields(service))[1].decode()


def learn(channel, pool, number, text):
    """Adds the file that reflection finds by symbol (4) or file name (3), dependencies first."""
    for kind, answer in fields(ask(channel, number, text)):
        if kind != 4:
            continue
        for _, data in fields(answer):
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            for name in [*file.dependency, file.name]:
                try:
                    pool.FindFileByName(name)
                except KeyError:
                    if name == file.name:
                        pool.AddSerializedFile(data)
                    else:
                        learn(channel, pool, 3, name)


def main(path, service):
    pool = descriptor_pool.DescriptorPool()
    with grpc.insecure_channel("unix:" + path) as channel:
        for name in services(channel):
            print("service", name)
        learn(channel, pool, 4, "grpc.health.v1.Health")
        method = pool.FindServiceByName("grpc.health.v1.Health").methods_by_name["Check"]
        request, answer = message_class(method.input_type), message_class(method.output_type)
        check = channel.unary_unary("/grpc.health.v1.Health/Check",
                                    request_serializer=request.SerializeToString,
                                    response_deserializer=answer.FromString)
        status = check(request(), timeout=10).status
        print("health", method.output_type.fields_by_name["status"].enum_type.values_by_number[status].name)
        learn(channel, pool, 4, service)
        print("methods", len(pool.FindServiceByName(service).methods))


main(*sys.argv[1:])
