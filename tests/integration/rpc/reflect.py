#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A gRPC client that knows no .proto file of the server: it learns them by reflection.

As a program: reflect.py SOCKET lists the services of a server and asks its health.
"""
import sys

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FIELD = descriptor_pb2.FieldDescriptorProto


def reflection_file(version):
    """The part of the public reflection interface that this client uses."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"reflection_{version}.proto", package=f"grpc.reflection.{version}", syntax="proto3")

    def message(name, *fields):
        added = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            is_message = isinstance(kind, str)
            added.field.add(
                name=field, number=number,
                type=FIELD.TYPE_MESSAGE if is_message else kind,
                type_name=f".grpc.reflection.{version}.{kind}" if is_message else None,
                label=FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL)

    message("ServerReflectionRequest",
            ("file_containing_symbol", 4, FIELD.TYPE_STRING, False),
            ("list_services", 7, FIELD.TYPE_STRING, False))
    message("ServerReflectionResponse",
            ("file_descriptor_response", 4, "FileDescriptorResponse", False),
            ("list_services_response", 6, "ListServiceResponse", False),
            ("error_response", 7, "ErrorResponse", False))
    message("FileDescriptorResponse", ("file_descriptor_proto", 1, FIELD.TYPE_BYTES, True))
    message("ListServiceResponse", ("service", 1, "ServiceResponse", True))
    message("ServiceResponse", ("name", 1, FIELD.TYPE_STRING, False))
    message("ErrorResponse", ("error_code", 1, FIELD.TYPE_INT32, False),
            ("error_message", 2, FIELD.TYPE_STRING, False))
    # proto3 leaves out an empty text: as a member of a oneof it is sent all the same.
    file.message_type[0].oneof_decl.add(name="message_request")
    for field in file.message_type[0].field:
        field.oneof_index = 0
    return file


class Client:
    """Calls methods by name, with dicts for requests."""

    def __init__(self, socket, version="v1", channel=None):
        self.channel = channel or grpc.insecure_channel(f"unix:{socket}")
        self.pool = descriptor_pool.DescriptorPool()
        self.factory = message_factory.MessageFactory(self.pool)
        self.prefix = f"grpc.reflection.{version}"
        self.pool.Add(reflection_file(version))

    def close(self):
        self.channel.close()

    def message(self, name):
        return self.factory.GetPrototype(self.pool.FindMessageTypeByName(name))

    def ask(self, **question):
        request = self.message(f"{self.prefix}.ServerReflectionRequest")(**question)
        call = self.channel.stream_stream(
            f"/{self.prefix}.ServerReflection/ServerReflectionInfo",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=self.message(
                f"{self.prefix}.ServerReflectionResponse").FromString)
        return next(call(iter([request]), timeout=10))

    def services(self):
        answer = self.ask(list_services="")
        return sorted(service.name for service in answer.list_services_response.service)

    def learn(self, symbol):
        """Adds the file that defines the symbol, and its imports."""
        answer = self.ask(file_containing_symbol=symbol)
        if answer.HasField("error_response"):
            raise LookupError(answer.error_response.error_message)
        for data in reversed(answer.file_descriptor_response.file_descriptor_proto):
            file = descriptor_pb2.FileDescriptorProto.FromString(data)
            try:
                self.pool.FindFileByName(file.name)
            except KeyError:
                self.pool.Add(file)

    def method(self, path):
        """A callable for "package.Service/Method", and the class of its requests."""
        service, name = path.split("/")
        method = self.pool.FindServiceByName(service).FindMethodByName(name)
        proto = descriptor_pb2.MethodDescriptorProto()
        method.CopyToProto(proto)
        kind = "_".join("stream" if streams else "unary"
                        for streams in (proto.client_streaming, proto.server_streaming))
        call = getattr(self.channel, kind)(
            f"/{path}", request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=self.message(method.output_type.full_name).FromString)
        return call, self.message(method.input_type.full_name)

    def call(self, path, timeout=10, **fields):
        call, request = self.method(path)
        return call(request(**fields), timeout=timeout)


def main():
    client = Client(sys.argv[1])
    for service in client.services():
        print(service)
    client.learn("grpc.health.v1.Health")
    response = client.call("grpc.health.v1.Health/Check")
    print("health", response.DESCRIPTOR.fields_by_name["status"].enum_type
          .values_by_number[response.status].name)
    client.close()


if __name__ == "__main__":
    main()
