# hypeman_flags: what every target of ours links; generated code does not.
add_library(hypeman_flags INTERFACE)
target_compile_definitions(hypeman_flags INTERFACE _GNU_SOURCE
	HYPEMAN_VERSION="${PROJECT_VERSION}")
target_include_directories(hypeman_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(hypeman_flags INTERFACE
	-Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
	-Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef
	$<$<C_COMPILER_ID:GNU>:-Wcast-qual> # clang sees it in the macros of generated headers
	$<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
	-Wno-missing-field-initializers
	$<$<BOOL:${HYPEMAN_WERROR}>:-Werror>
	$<$<CONFIG:RelWithDebInfo>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong>)
target_link_options(hypeman_flags INTERFACE
	-Wl,--as-needed
	$<$<CONFIG:RelWithDebInfo>:-pie -Wl,-z,relro,-z,now>)
if(HYPEMAN_SANITIZE)
	add_compile_options(-fsanitize=${HYPEMAN_SANITIZE} -fno-omit-frame-pointer
		-fno-sanitize-recover=all)
	add_link_options(-fsanitize=${HYPEMAN_SANITIZE})
endif()

# For programs that never have a second thread: ThreadSanitizer would find nothing in them, and it
# starts a thread of its own in each child that they fork.
function(hypeman_single_thread)
	if(HYPEMAN_SANITIZE STREQUAL "thread")
		foreach(target ${ARGN})
			target_compile_options(${target} PRIVATE -fno-sanitize=thread)
			target_link_options(${target} PRIVATE -fno-sanitize=thread)
		endforeach()
	endif()
endfunction()

if(HYPEMAN_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link)
endif()
