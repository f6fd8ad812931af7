# Everything comes from Debian 12; scripts/setup.sh lists the packages.

# "22" alone is refused by MLIR's version file. This also finds the LLVM that belongs to it.
find_package(MLIR 22.1 REQUIRED CONFIG HINTS /usr/lib/llvm-22/lib/cmake/mlir)
find_package(Protobuf REQUIRED)
find_package(ONNX REQUIRED CONFIG)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SYSTEMC REQUIRED IMPORTED_TARGET systemc)

list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
separate_arguments(npucc_llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
add_definitions(${npucc_llvm_definitions})

# Includes are rooted at the repository: #include "runtime/tensor/Tensor.h". What TableGen writes
# has the same root in the build folder: #include "compiler/onnx/OnnxOps.h.inc".
include_directories(${CMAKE_SOURCE_DIR})
include_directories(SYSTEM ${CMAKE_BINARY_DIR})
