# hypeman_test(NAME source... [LIBS lib...]): a cmocka program, run by ctest with label "unit".
if(BUILD_TESTING)
	pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

function(hypeman_test name)
	if(NOT BUILD_TESTING)
		return()
	endif()
	cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
	add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
	target_link_libraries(${name} PRIVATE ${arg_LIBS} PkgConfig::CMOCKA hypeman_flags)
	add_test(NAME ${name} COMMAND ${name})
	set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT 120)
	if(HYPEMAN_SANITIZE MATCHES thread)
		# Debian's libgrpc and its Abseil are not instrumented: only our code is watched.
		set_tests_properties(${name} PROPERTIES
			ENVIRONMENT TSAN_OPTIONS=halt_on_error=1:ignore_noninstrumented_modules=1)
	endif()
endfunction()

# hypeman_fuzz(NAME FOLDER/fuzz_WHAT.c [LIBS lib...]): with HYPEMAN_FUZZ the libFuzzer program
# fuzz_NAME; without, the unit test test_corpus_NAME, which gives it each file of FOLDER/corpus/WHAT.
function(hypeman_fuzz name source)
	if(NOT BUILD_TESTING)
		return()
	endif()
	cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
	string(REGEX REPLACE "/fuzz_([a-z_]+)\\.c$" "/corpus/\\1" corpus ${source})
	if(HYPEMAN_FUZZ)
		add_executable(fuzz_${name} ${source})
		target_link_libraries(fuzz_${name} PRIVATE ${arg_LIBS} hypeman_flags)
		target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
	elseif(EXISTS ${corpus})
		hypeman_test(test_corpus_${name} ${source} ${PROJECT_SOURCE_DIR}/tests/unit/corpus.c
			LIBS ${arg_LIBS})
		target_compile_definitions(test_corpus_${name}
			PRIVATE CORPUS_NAME="${name}" CORPUS_DIR="${corpus}")
	endif()
endfunction()
