# onceflow_layer(name): one layer of src/ as a static library, its tests as one binary.

# The layers, in the order of tools/layers.txt, and for each the layers that it may include.
set(ONCEFLOW_LAYERS "")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/layers.txt)
file(STRINGS ${CMAKE_SOURCE_DIR}/tools/layers.txt lines REGEX "^[a-z]+ *:")
foreach(line IN LISTS lines)
  string(REGEX MATCH "^([a-z]+) *: *(.*)$" matched "${line}")
  set(layer ${CMAKE_MATCH_1})
  string(REGEX MATCHALL "[a-z_./]+" allowed "${CMAKE_MATCH_2}")
  list(TRANSFORM allowed REPLACE "/.*" "")
  list(REMOVE_DUPLICATES allowed)
  list(APPEND ONCEFLOW_LAYERS ${layer})
  set(ONCEFLOW_ALLOWED_${layer} ${allowed})
endforeach()

# Makes onceflow_<name> from all *.cc below src/<name>, and <name>_test from its *_test.cc. A file
# called main.cc becomes the executable `onceflow`. GENERATED names sources made by the build.
function(onceflow_layer name)
  cmake_parse_arguments(arg "" "" "GENERATED" ${ARGN})
  set(root ${CMAKE_SOURCE_DIR}/src/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${root}/*.cc)
  set(tests ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  if(ONCEFLOW_SANITIZE)
    # They replace operator new, which a sanitizer has done already.
    list(FILTER tests EXCLUDE REGEX "_allocation_test\\.cc$")
  endif()
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  set(main ${sources})
  list(FILTER main INCLUDE REGEX "${root}/main\\.cc$")
  list(FILTER sources EXCLUDE REGEX "${root}/main\\.cc$")
  list(APPEND sources ${arg_GENERATED})

  set(library onceflow_${name})
  if(sources)
    add_library(${library} STATIC ${sources})
    set(scope PUBLIC)
  else()
    add_library(${library} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${library} ${scope}
    ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR}/generated)
  if(name MATCHES "^(connectors|audit)$")
    target_include_directories(${library} SYSTEM ${scope} ${ONCEFLOW_PQ_INCLUDE})
  endif()
  foreach(allowed IN LISTS ONCEFLOW_ALLOWED_${name})
    if(TARGET onceflow_${allowed})
      target_link_libraries(${library} ${scope} onceflow_${allowed})
    endif()
  endforeach()
  target_link_libraries(${library} ${scope} ${ONCEFLOW_FOREIGN_${name}})
  onceflow_read_precompiled(sources "${sources}")

  if(main)
    add_executable(onceflow ${main})
    target_link_libraries(onceflow PRIVATE ${library})
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    target_link_libraries(${name}_test PRIVATE ${library}
      GTest::gmock GTest::gtest GTest::gtest_main)
    # What a test says runs once: optimising it costs more than half of its build and wins nothing.
    # A test that counts allocations counts those of optimised callers; one that flips each byte of
    # a log, draws histories, alters each field, or fills a request with 100 MiB says it millions of
    # times.
    target_compile_options(${name}_test PRIVATE -O0)
    set(optimised ${tests})
    string(CONCAT heavy "_allocation|/broker|/crash|/every_field|/journal_reader|/recovery|"
      "/repeats|/replay|/salvage")
    list(FILTER optimised INCLUDE REGEX "(${heavy})_test\\.cc$")
    set_source_files_properties(${optimised} PROPERTIES COMPILE_OPTIONS -O2)
    list(REMOVE_ITEM tests ${optimised})
    onceflow_read_precompiled(tests "${tests}")
    gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST TEST_PREFIX ${name}/
      WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTIES TIMEOUT 120)
  endif()
endfunction()

# Each tests/fuzz/<name>.cc becomes fuzz_<name>, linked with the layers that it includes; the target
# `fuzzers` builds all of them.
function(onceflow_fuzzers)
  add_custom_target(fuzzers)
  file(GLOB fuzzers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/fuzz/*.cc)
  foreach(source IN LISTS fuzzers)
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_fuzz$" "" name ${name})
    add_executable(fuzz_${name} ${source})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    file(STRINGS ${source} includes REGEX "^#include \"[a-z]+/")
    list(TRANSFORM includes REPLACE "^#include \"([a-z]+)/.*" "onceflow_\\1")
    list(REMOVE_DUPLICATES includes)
    target_link_libraries(fuzz_${name} PRIVATE ${includes})
    add_dependencies(fuzzers fuzz_${name})
  endforeach()
endfunction()
