# Helpers for the folders' CMakeLists.txt.

# npucc_add_tool(NAME SOURCES... [LIBS libraries...]): a program in build/bin.
function(npucc_add_tool name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBS})
endfunction()

# npucc_use_pch(TARGET): compile TARGET with MLIR's core headers precompiled. For targets of
# compiler/ and its tests; the flags of all of them must be those of compiler/.
function(npucc_use_pch target)
  if(NOT NPUCC_PCH OR NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    return()
  endif()
  if(NOT TARGET npucc_pch)
    add_library(npucc_pch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
    target_precompile_headers(npucc_pch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)
    # ccache compares contents, so the file must not hold the time at which it was made.
    target_compile_options(npucc_pch PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
  target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  target_precompile_headers(${target} REUSE_FROM npucc_pch)
endfunction()

# npucc_add_tests(NAME SOURCES... [LIBS libraries...]): a Catch2 program, each of whose test
# cases becomes a ctest of that name.
function(npucc_add_tests name)
  cmake_parse_arguments(arg "" "" "LIBS" ${ARGN})
  if(NOT arg_UNPARSED_ARGUMENTS)
    return()
  endif()
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${arg_LIBS} npucc_catch_main)
  catch_discover_tests(${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} PROPERTIES TIMEOUT 300)
endfunction()
