// RUN: npu-opt --convert-onnx-to-linalg --npucc-fuse-elementwise --split-input-file %s | FileCheck %s

// The batch dimension of the weights broadcasts: it drops out of their map.
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
// CHECK-LABEL: func.func @batch
func.func @batch(%a: tensor<2x4x8xf32>) -> tensor<2x4x16xf32> {
  %b = onnx.constant dense<1.0> : tensor<8x16xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[A]], #[[B]], #{{.*}}]
  %y = onnx.node "MatMul"(%a, %b) {} : (tensor<2x4x8xf32>, tensor<8x16xf32>) -> tensor<2x4x16xf32>
  return %y : tensor<2x4x16xf32>
}

// -----

// A transpose of an operand becomes part of its map.
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>
// CHECK-LABEL: func.func @transposed
func.func @transposed(%a: tensor<2x4x8xf32>, %b: tensor<2x16x8xf32>) -> tensor<2x4x16xf32> {
  // CHECK: linalg.fill
  // CHECK-NEXT: linalg.generic {indexing_maps = [#{{.*}}, #[[B]], #{{.*}}]
  // CHECK-NOT: linalg.generic
  %t = onnx.node "Transpose"(%b) {perm = array<i64: 0, 2, 1>}
      : (tensor<2x16x8xf32>) -> tensor<2x8x16xf32>
  %y = onnx.node "MatMul"(%a, %t) {}
      : (tensor<2x4x8xf32>, tensor<2x8x16xf32>) -> tensor<2x4x16xf32>
  return %y : tensor<2x4x16xf32>
}

// -----

// CHECK-LABEL: func.func @gemm
func.func @gemm(%a: tensor<1x8xf32>) -> tensor<1x4xf32> {
  %b = onnx.constant dense<1.0> : tensor<4x8xf32>
  %c = onnx.constant dense<3.0> : tensor<4xf32>
  // CHECK: arith.constant 2.000000e+00
  // CHECK: linalg.generic
  // CHECK: linalg.generic
  // CHECK: arith.mulf
  // CHECK: arith.addf
  %y = onnx.node "Gemm"(%a, %b, %c) {transB = 1 : i64, alpha = 2.0 : f32}
      : (tensor<1x8xf32>, tensor<4x8xf32>, tensor<4xf32>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
