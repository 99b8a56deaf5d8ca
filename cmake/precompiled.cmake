# The standard library, {fmt} and, for tests, googletest, read once for all layers: reading them was
# half of a build. Nothing of ours is among them, so no edit of ours makes them anew. A source still
# includes what it uses: `./x check --tidy` and the sanitizers' builds go without.

option(ONCEFLOW_PRECOMPILED "read the standard library's headers once for all sources" ON)
if(ONCEFLOW_SANITIZE OR ONCEFLOW_FUZZ OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  set(ONCEFLOW_PRECOMPILED OFF)
endif()

set(ONCEFLOW_HEADERS_sources
  <algorithm> <array> <bit> <charconv> <chrono> <cmath> <cstdint> <cstring> <deque> <expected>
  <filesystem> <functional> <iterator> <limits> <map> <memory> <optional> <set> <span> <sstream>
  <string> <string_view> <unordered_map> <utility> <variant> <vector>
  <fmt/format.h> <fmt/ranges.h>)
set(ONCEFLOW_HEADERS_tests ${ONCEFLOW_HEADERS_sources} <gmock/gmock.h> <gtest/gtest.h>)

# Makes onceflow_precompiled_<kind>, whose precompiled header all targets of that kind read.
function(onceflow_precompile kind)
  set(target onceflow_precompiled_${kind})
  file(WRITE ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc "")
  add_library(${target} OBJECT ${CMAKE_BINARY_DIR}/precompiled/${kind}.cc)
  target_link_libraries(${target} PRIVATE fmt::fmt)
  target_precompile_headers(${target} PRIVATE ${ONCEFLOW_HEADERS_${kind}})

  # The file holds the path of its clone: its bytes cannot be a part of the cache's key. What they
  # are made from can.
  list(TRANSFORM ONCEFLOW_HEADERS_${kind} PREPEND "#include ")
  list(JOIN ONCEFLOW_HEADERS_${kind} "\n" includes)
  file(WRITE ${CMAKE_BINARY_DIR}/precompiled/${kind}.h "${includes}")
  execute_process(COMMAND ${CMAKE_CXX_COMPILER} -std=c++2b -x c++ -E -P ${kind}.h
    WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/precompiled
    OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  string(SHA256 sum "${text}${CMAKE_CXX_COMPILER_VERSION}${CMAKE_CXX_FLAGS_RELEASE}")
  file(WRITE ${CMAKE_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.pch.sum ${sum})
endfunction()

if(ONCEFLOW_PRECOMPILED)
  onceflow_precompile(sources)
  onceflow_precompile(tests)
  target_compile_options(onceflow_precompiled_tests PRIVATE -O0)
  target_link_libraries(onceflow_precompiled_tests PRIVATE GTest::gmock GTest::gtest)
endif()

# Lets SOURCES, compiled in KIND's way (`sources`, or `tests` without optimisation), read what was
# read for all. CMake's own REUSE_FROM would name it by an absolute path, which no other clone's
# cache would know again.
function(onceflow_read_precompiled kind sources)
  if(ONCEFLOW_PRECOMPILED)
    set(header CMakeFiles/onceflow_precompiled_${kind}.dir/cmake_pch.hxx.pch)
    set_source_files_properties(${sources} PROPERTIES
      COMPILE_OPTIONS "-include-pch;${header}" OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/${header})
  endif()
endfunction()
