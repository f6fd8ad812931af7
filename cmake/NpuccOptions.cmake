# How everything is compiled and linked.
include(CheckCXXCompilerFlag)

# libsystemc of Debian exists as C++17 only, and MLIR 22 needs C++17.
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
# libMLIR.so and libLLVM.so are not where the dynamic loader looks.
set(CMAKE_INSTALL_RPATH /usr/lib/llvm-22/lib)

# The optimisation level is chosen for each folder in the root CMakeLists.txt.
# One setting of NDEBUG for all files: MLIR's casts check their argument only without it, and
# Debian's MLIR itself has no assertions that would catch a misuse. Eigen's own checks sit in
# inner loops, so they are off except in Debug builds.
set(npucc_ndebug "")
if(NOT NPUCC_ASSERTIONS)
  set(npucc_ndebug "-DNDEBUG")
endif()
set(CMAKE_CXX_FLAGS_RELEASE "${npucc_ndebug}")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-g ${npucc_ndebug}")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
add_compile_definitions(_GLIBCXX_ASSERTIONS $<$<NOT:$<CONFIG:Debug>>:EIGEN_NO_DEBUG>)

add_compile_options(-Wall -Wextra)
# std::stable_sort of libstdc++ 12 calls a function that clang 22 calls deprecated in C++17.
add_compile_options(-Wno-deprecated-declarations)
if(NPUCC_WERROR)
  add_compile_options(-Werror)
endif()

# -march is the same in all files: Eigen's inline functions differ with it, and the linker keeps
# one copy of each. No contraction to fused multiply-add: compilers would differ, and the
# reference must round where ONNX rounds (Eigen asks for FMA explicitly in its products).
if(NPUCC_MARCH)
  check_cxx_compiler_flag(-march=${NPUCC_MARCH} NPUCC_HAS_MARCH)
  if(NPUCC_HAS_MARCH)
    add_compile_options(-march=${NPUCC_MARCH})
  endif()
endif()
add_compile_options(-ffp-contract=off)

if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_link_options(-fuse-ld=lld)
endif()

# ccache, where it is installed. Paths below the source folder are hashed relative to it, so that
# several checkouts share one cache; the sloppiness is what precompiled headers need.
find_program(NPUCC_CCACHE ccache)
mark_as_advanced(NPUCC_CCACHE)
if(NPUCC_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}
      CCACHE_NOHASHDIR=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${NPUCC_CCACHE})
endif()

# Where the tests find the shared model zoo (absent: those tests are skipped), and where tools
# that run from the build folder find machines, technologies and networks.
add_compile_definitions(NPUCC_SHARED_DIR="${CMAKE_SOURCE_DIR}/../shared"
                        NPUCC_SOURCE_MODELS_DIR="${CMAKE_SOURCE_DIR}/models"
                        NPUCC_VERSION="${PROJECT_VERSION}")
