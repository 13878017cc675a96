# hypeman_embed(OUT SYMBOL FILE): sets OUT to a source and a header that hold the bytes of FILE as
# SYMBOL[] and SYMBOL_size, declared in SYMBOL.h. FILE may be made during the build.
function(hypeman_embed out symbol file)
	set(stem ${CMAKE_CURRENT_BINARY_DIR}/${symbol})
	file(CONFIGURE OUTPUT ${stem}.S CONTENT
".section .rodata
.global @symbol@
.global @symbol@_size
@symbol@:
.incbin \"@file@\"
.set length, . - @symbol@
.balign 8
@symbol@_size:
.quad length
.section .note.GNU-stack,\"\",@progbits
" @ONLY)
	get_filename_component(name ${file} NAME)
	file(CONFIGURE OUTPUT ${stem}.h CONTENT
"/* Generated: the bytes of @name@. */
#pragma once
#include <stddef.h>
#include <stdint.h>
extern const uint8_t @symbol@[];
extern const size_t @symbol@_size;
" @ONLY)
	set_source_files_properties(${stem}.S PROPERTIES OBJECT_DEPENDS ${file})
	set(${out} ${stem}.S ${stem}.h PARENT_SCOPE)
endfunction()
