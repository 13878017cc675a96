# hypeman_protos(NAME file.proto... [ROOT dir]): library NAME with the protobuf-c code of files
# under proto/ (or dir), and NAME's FileDescriptorSet (imports included) embedded as a pair of
# symbols, <name>_descriptor_set and <name>_descriptor_set_size, declared in
# <name>_descriptor_set.h.
find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)
pkg_check_modules(PROTOBUF_C REQUIRED IMPORTED_TARGET libprotobuf-c)

set(PROTO_DIR ${PROJECT_SOURCE_DIR}/proto)
set(PROTO_OUT ${PROJECT_BINARY_DIR}/proto/gen)
# Well-known types have no ready C code: protoc-c makes it from libprotobuf-dev's files.
set(PROTO_WELL_KNOWN /usr/include)

function(hypeman_generate out proto_root)
	set(sources)
	foreach(file ${ARGN})
		set(root ${proto_root})
		if(NOT EXISTS ${root}/${file})
			set(root ${PROTO_WELL_KNOWN})
		endif()
		string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${file})
		add_custom_command(
			OUTPUT ${PROTO_OUT}/${stem}.c ${PROTO_OUT}/${stem}.h
			COMMAND ${CMAKE_COMMAND} -E make_directory ${PROTO_OUT}
			COMMAND ${PROTOC_C} -I${proto_root} -I${PROTO_WELL_KNOWN} --c_out=${PROTO_OUT} ${file}
			DEPENDS ${root}/${file} VERBATIM)
		list(APPEND sources ${PROTO_OUT}/${stem}.c ${PROTO_OUT}/${stem}.h)
	endforeach()
	set(${out} ${sources} PARENT_SCOPE)
endfunction()

function(hypeman_protos name)
	cmake_parse_arguments(arg "" "ROOT" "" ${ARGN})
	set(files ${arg_UNPARSED_ARGUMENTS})
	set(proto_root ${PROTO_DIR})
	if(arg_ROOT)
		set(proto_root ${arg_ROOT})
	endif()
	hypeman_generate(sources ${proto_root} ${files})
	set(stem ${PROTO_OUT}/${name}_descriptor_set)
	set(inputs ${files})
	list(FILTER inputs EXCLUDE REGEX "^google/protobuf/")
	list(TRANSFORM inputs PREPEND ${proto_root}/)
	add_custom_command(
		OUTPUT ${stem}.pb
		COMMAND ${PROTOC} -I${proto_root} -I${PROTO_WELL_KNOWN} --include_imports --include_source_info
			--descriptor_set_out=${stem}.pb ${files}
		DEPENDS ${inputs} VERBATIM)
	hypeman_embed(embedded ${name}_descriptor_set ${stem}.pb)
	add_library(${name} STATIC ${sources} ${embedded})
	target_include_directories(${name} SYSTEM PUBLIC ${PROTO_OUT} ${CMAKE_CURRENT_BINARY_DIR})
	target_link_libraries(${name} PUBLIC PkgConfig::PROTOBUF_C)
endfunction()
