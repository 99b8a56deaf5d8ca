# Flags of all our targets: language, warnings, debug information, sanitizers, linker, cache.

set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g")

cmake_path(RELATIVE_PATH CMAKE_SOURCE_DIR BASE_DIRECTORY ${CMAKE_BINARY_DIR} OUTPUT_VARIABLE root)
add_compile_options(
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  # A designated initialiser names what differs from the default; the rest is meant to be left out.
  -Wno-missing-field-initializers
  -fno-omit-frame-pointer
  # Paths in CHECK and in debug information start at the root of the repository, wherever it lies;
  # the second form is what they look like when the cache has made them relative.
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -ffile-prefix-map=${root}/=)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options(-Wno-missing-designated-field-initializers -Wunreachable-code)
endif()

find_program(ONCEFLOW_LLD NAMES ld.lld-19 ld.lld)
if(ONCEFLOW_LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(--ld-path=${ONCEFLOW_LLD})
endif()

if(ONCEFLOW_SANITIZE)
  add_compile_options(-fsanitize=${ONCEFLOW_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${ONCEFLOW_SANITIZE})
endif()
if(ONCEFLOW_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Compiled once for all clones: where the repository lies is kept out of the cache's key.
find_program(ONCEFLOW_CCACHE ccache)
if(ONCEFLOW_CCACHE)
  set(launcher env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=true
    CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_PCH_EXTSUM=1 ${ONCEFLOW_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()
