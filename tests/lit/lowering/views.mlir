// RUN: npu-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// CHECK-LABEL: func.func @reshape
func.func @reshape(%x: tensor<2x6x4xf32>) -> tensor<2x3x8xf32> {
  %s = onnx.constant dense<[2, 3, 8]> : tensor<3xi64>
  // CHECK: tensor.collapse_shape %{{.*}} {{\[\[}}0], [1, 2]] : tensor<2x6x4xf32> into tensor<2x24xf32>
  // CHECK: tensor.expand_shape %{{.*}} {{\[\[}}0], [1, 2]]
  %y = onnx.node "Reshape"(%x, %s) {} : (tensor<2x6x4xf32>, tensor<3xi64>) -> tensor<2x3x8xf32>
  return %y : tensor<2x3x8xf32>
}

// -----

// Only unit dimensions move: a view.
// CHECK-LABEL: func.func @transpose_unit
func.func @transpose_unit(%x: tensor<1x4x5xf32>) -> tensor<4x1x5xf32> {
  // CHECK-NOT: linalg.generic
  %y = onnx.node "Transpose"(%x) {perm = array<i64: 1, 0, 2>} : (tensor<1x4x5xf32>) -> tensor<4x1x5xf32>
  return %y : tensor<4x1x5xf32>
}

// -----

// CHECK-LABEL: func.func @concat
func.func @concat(%x: tensor<1x2x4xf32>, %y: tensor<1x3x4xf32>) -> tensor<1x5x4xf32> {
  // CHECK: tensor.insert_slice %{{.*}}[0, 0, 0] [1, 2, 4] [1, 1, 1]
  // CHECK: tensor.insert_slice %{{.*}}[0, 2, 0] [1, 3, 4] [1, 1, 1]
  %z = onnx.node "Concat"(%x, %y) {axis = 1 : i64}
      : (tensor<1x2x4xf32>, tensor<1x3x4xf32>) -> tensor<1x5x4xf32>
  return %z : tensor<1x5x4xf32>
}

// -----

// Nearest neighbours at whole factors: a broadcast along new dimensions, then a view.
// CHECK-DAG: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2, d4)>
// CHECK-LABEL: func.func @upsample
func.func @upsample(%x: tensor<1x2x3x3xf32>) -> tensor<1x2x6x6xf32> {
  %none = onnx.none
  %s = onnx.constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[IN]], #{{.*}}]
  // CHECK: tensor.collapse_shape
  %y = onnx.node "Resize"(%x, %none, %s) {mode = "nearest", coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"}
      : (tensor<1x2x3x3xf32>, none, tensor<4xf32>) -> tensor<1x2x6x6xf32>
  return %y : tensor<1x2x6x6xf32>
}
