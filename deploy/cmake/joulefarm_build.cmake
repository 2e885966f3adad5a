# Build settings every target shares, and the helpers that make targets.

find_program(JOULEFARM_CCACHE ccache)
if(JOULEFARM_CCACHE)
  # What was compiled before is found again.
  set(CMAKE_C_COMPILER_LAUNCHER ${JOULEFARM_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros ${JOULEFARM_CCACHE})
endif()

find_program(JOULEFARM_MOLD mold)
if(JOULEFARM_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

# Asio's header-only form compiled once per unit costs seconds; absl's deprecations in gRPC headers are not ours.
add_compile_definitions(BOOST_ASIO_NO_DEPRECATED)

# An energy that is computed again by another build of the same source is to be the same to the last bit: on processors with fused
# multiplication and addition gcc uses them as it sees fit otherwise.
add_compile_options(-ffp-contract=off)

if(JOULEFARM_SANITIZE)
  add_compile_options(-fsanitize=${JOULEFARM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${JOULEFARM_SANITIZE})
endif()

if(JOULEFARM_FUZZ)
  # All of our code tells libFuzzer where it goes; its main is linked into the fuzzer only.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Own code is held to the warnings; generated code is not.
function(jf_warnings target)
  # gcc 12 reports the last two falsely for std::string in optimised code (its bugs 105651 and 105562).
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wno-restrict -Wno-maybe-uninitialized)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-unknown-warning-option>)
  if(JOULEFARM_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

# A clean build takes half as long when units of a library are compiled some at a time; a build that follows an edit, longer.
option(JOULEFARM_UNITY "Compile several units of a library as one" OFF)

# jf_library(NAME <target> SOURCES … LIBS … [APART]): a static library of ours; includes are relative to the source root.
# APART: its units are always compiled each by itself, as they give the same names to different things.
function(jf_library)
  cmake_parse_arguments(ARG "APART" "NAME" "SOURCES;LIBS" ${ARGN})
  add_library(${ARG_NAME} STATIC ${ARG_SOURCES})
  if(JOULEFARM_UNITY AND NOT ARG_APART)
    set_target_properties(${ARG_NAME} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 6)
  endif()
  target_include_directories(${ARG_NAME} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PUBLIC ${ARG_LIBS})
  jf_precompiled(${ARG_NAME} jf_headers)
  jf_warnings(${ARG_NAME})
endfunction()

# jf_program(NAME <target> SOURCES … LIBS …): an executable of ours, placed in build/<preset>/bin.
function(jf_program)
  cmake_parse_arguments(ARG "" "NAME" "SOURCES;LIBS" ${ARGN})
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LIBS})
  set_target_properties(${ARG_NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  jf_precompiled(${ARG_NAME} jf_headers)
  jf_warnings(${ARG_NAME})
endfunction()

# Tests themselves are compiled as fast as can be: they are two thirds of a build, and what they test is compiled as the preset
# says. ASan sees their code, as that of templates and inline functions may come from there; UBSan only what they test.
function(jf_test_options target)
  target_compile_options(${target} PRIVATE -O0)
  if(JOULEFARM_SANITIZE MATCHES undefined)
    target_compile_options(${target} PRIVATE -fno-sanitize=undefined)
  endif()
endfunction()

# jf_test(NAME <target> SOURCES … LIBS … [TIMEOUT s] [LABELS …] [PLAIN] [THREADED] [WRAPPER program…]): one ctest entry per
# test program. WRAPPER: what runs it, such as umockdev-wrapper.
# deploy/test runs each under ASan and UBSan, too, except with PLAIN: docs/decisions/0005.
# THREADED: under TSan, too; without gRPC, about which TSan reports falsely.
function(jf_test)
  cmake_parse_arguments(ARG "PLAIN;THREADED" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;WRAPPER" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_include_directories(${ARG_NAME} PRIVATE ${CMAKE_SOURCE_DIR})
  target_link_libraries(${ARG_NAME} PRIVATE ${ARG_LIBS} GTest::gmock GTest::gtest GTest::gtest_main)
  jf_precompiled(${ARG_NAME} jf_test_headers)
  jf_test_options(${ARG_NAME})
  jf_warnings(${ARG_NAME})
  if(NOT ARG_PLAIN)
    if(NOT TARGET sanitized_tests)
      add_custom_target(sanitized_tests)
    endif()
    add_dependencies(sanitized_tests ${ARG_NAME})
    list(APPEND ARG_LABELS sanitized)
  endif()
  if(ARG_THREADED)
    if(NOT TARGET threaded_tests)
      add_custom_target(threaded_tests)
    endif()
    add_dependencies(threaded_tests ${ARG_NAME})
    list(APPEND ARG_LABELS threaded)
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${ARG_WRAPPER} $<TARGET_FILE:${ARG_NAME}> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${ARG_NAME} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}")
endfunction()
