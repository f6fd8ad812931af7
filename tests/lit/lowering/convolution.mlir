// RUN: npu-opt --convert-onnx-to-linalg --canonicalize --cse --split-input-file %s | FileCheck %s

// Floor mode with stride 2: only what the windows reach is padded; the bias is a separate op.
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d4, d2 * 2 + d5, d3 * 2 + d6)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d1, d4, d5, d6)>
// CHECK-DAG: #[[Y:.*]] = affine_map<(d0, d1, d2, d3, d4, d5, d6) -> (d0, d1, d2, d3)>
// CHECK-LABEL: func.func @conv
func.func @conv(%x: tensor<1x3x8x8xf32>) -> tensor<1x4x4x4xf32> {
  %w = onnx.constant dense<1.0> : tensor<4x3x3x3xf32>
  %b = onnx.constant dense<2.0> : tensor<4xf32>
  // CHECK: tensor.pad %{{.*}} low[0, 0, 1, 1] high[0, 0, 0, 0]
  // CHECK: linalg.fill
  // CHECK: linalg.generic {indexing_maps = [#[[X]], #[[W]], #[[Y]]]
  // CHECK-SAME: "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: linalg.generic
  // CHECK: arith.addf
  %y = onnx.node "Conv"(%x, %w, %b) {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x3x8x8xf32>, tensor<4x3x3x3xf32>, tensor<4xf32>) -> tensor<1x4x4x4xf32>
  return %y : tensor<1x4x4x4xf32>
}

// -----

// Depthwise: no reduction over channels.
// CHECK-DAG: #[[X:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d2 + d4, d3 + d5)>
// CHECK-DAG: #[[W:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d1, d4, d5)>
// CHECK-LABEL: func.func @depthwise
func.func @depthwise(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x6x6xf32> {
  %w = onnx.constant dense<1.0> : tensor<4x1x3x3xf32>
  // CHECK: onnx.node "Reshape"
  // CHECK: onnx.data %{{.*}} : tensor<4x3x3xf32> -> tensor<4x3x3xf32>
  // CHECK: linalg.generic {indexing_maps = [#[[X]], #[[W]], #{{.*}}], iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction", "reduction"]}
  %y = onnx.node "Conv"(%x, %w) {group = 4 : i64}
      : (tensor<1x4x8x8xf32>, tensor<4x1x3x3xf32>) -> tensor<1x4x6x6xf32>
  return %y : tensor<1x4x6x6xf32>
}

// -----

// Groups are a dimension of their own; the bias is added before they are joined again.
// CHECK-LABEL: func.func @grouped
func.func @grouped(%x: tensor<1x4x8x8xf32>) -> tensor<1x6x6x6xf32> {
  %w = onnx.constant dense<1.0> : tensor<6x2x3x3xf32>
  %b = onnx.constant dense<2.0> : tensor<6xf32>
  // CHECK: tensor.expand_shape %{{.*}} : tensor<1x4x8x8xf32> into tensor<1x2x2x8x8xf32>
  // CHECK: linalg.generic
  // CHECK-SAME: "parallel", "parallel", "parallel", "parallel", "parallel", "reduction", "reduction", "reduction"
  // CHECK: -> tensor<1x2x3x6x6xf32>
  // CHECK: linalg.generic
  // CHECK: -> tensor<1x2x3x6x6xf32>
  // CHECK: tensor.collapse_shape %{{.*}} : tensor<1x2x3x6x6xf32> into tensor<1x6x6x6xf32>
  %y = onnx.node "Conv"(%x, %w, %b) {group = 2 : i64}
      : (tensor<1x4x8x8xf32>, tensor<6x2x3x3xf32>, tensor<6xf32>) -> tensor<1x6x6x6xf32>
  return %y : tensor<1x6x6x6xf32>
}

// -----

// Stride 2: four phases, each an ordinary convolution, interleaved by strided inserts.
// CHECK-LABEL: func.func @transposed
func.func @transposed(%x: tensor<1x2x4x4xf32>) -> tensor<1x3x8x8xf32> {
  %w = onnx.constant dense<1.0> : tensor<2x3x4x4xf32>
  // CHECK-COUNT-4: tensor.insert_slice %{{.*}} [1, 1, 2, 2] : tensor<1x3x4x4xf32> into tensor<1x3x8x8xf32>
  %y = onnx.node "ConvTranspose"(%x, %w)
      {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x2x4x4xf32>, tensor<2x3x4x4xf32>) -> tensor<1x3x8x8xf32>
  return %y : tensor<1x3x8x8xf32>
}
