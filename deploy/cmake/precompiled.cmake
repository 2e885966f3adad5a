# Headers that most units read, compiled once per build: half of a clean build was reading them again and again.
# Off for clang-tidy, which cannot read what gcc compiled, and whose findings of missing includes are wanted.

option(JOULEFARM_PRECOMPILED_HEADERS "Compile common headers once" ON)

if(JOULEFARM_PRECOMPILED_HEADERS)
  # Programs, too: what was compiled for one kind of position independence cannot be read for another.
  set(CMAKE_CXX_COMPILE_OPTIONS_PIE -fPIC)
  # Macros must be the same in all units, so these options are; the last is what ccache needs.
  add_compile_options(-pthread)
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fpch-preprocess>)
  # What gcc 12 says falsely of std::string, and of system headers only where they come this way.
  add_compile_options($<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-stringop-overread>
                      $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-stringop-overflow>
                      $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-array-bounds>)
endif()

# Call after proto/: makes the sets that jf_precompiled uses.
function(jf_precompiled_sets)
  if(NOT JOULEFARM_PRECOMPILED_HEADERS)
    return()
  endif()
  set(headers <algorithm> <cstdint> <filesystem> <fstream> <functional> <map> <memory> <mutex> <optional> <set> <sstream> <string>
      <thread> <utility> <variant> <vector> <absl/status/status.h> <absl/status/statusor.h> <absl/strings/str_cat.h>
      <absl/strings/str_join.h> <absl/strings/string_view.h> <absl/types/span.h>)
  set(messages <joulefarm/v1/agent_service.pb.h> <joulefarm/v1/farm_service.pb.h> <joulefarm/v1/measurement.pb.h>)
  # Empty units, for what CMake wants of a target.
  set(empty ${CMAKE_BINARY_DIR}/precompiled.cc)
  if(NOT EXISTS ${empty})
    file(WRITE ${empty} "")
  endif()
  add_library(jf_headers OBJECT ${empty})
  target_link_libraries(jf_headers PRIVATE jf_proto absl::span absl::status absl::statusor absl::strings)
  target_precompile_headers(jf_headers PRIVATE ${headers} ${messages})
  jf_warnings(jf_headers)
  if(JOULEFARM_TESTS)
    add_library(jf_test_headers OBJECT ${empty})
    target_link_libraries(jf_test_headers PRIVATE jf_proto absl::span absl::status absl::statusor absl::strings
                          GTest::gmock GTest::gtest)
    target_precompile_headers(jf_test_headers PRIVATE ${headers} ${messages} <gmock/gmock.h> <gtest/gtest.h>)
    jf_test_options(jf_test_headers)
    jf_warnings(jf_test_headers)
  endif()
endfunction()

# jf_precompiled(TARGET SET): TARGET's units find the headers of SET (jf_headers, jf_test_headers) compiled.
function(jf_precompiled target set)
  if(TARGET ${set})
    target_precompile_headers(${target} REUSE_FROM ${set})
  endif()
endfunction()
