// RUN: npu-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// The window's extents come from an operand without data; padding is the neutral element.
// CHECK-LABEL: func.func @max
func.func @max(%x: tensor<1x2x8x8xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: %[[NEUTRAL:.*]] = arith.constant 0xFF800000
  // CHECK: tensor.pad
  // CHECK: tensor.yield %[[NEUTRAL]]
  // CHECK: %[[WINDOW:.*]] = tensor.empty() : tensor<3x3xf32>
  // CHECK: linalg.fill ins(%[[NEUTRAL]]
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %[[WINDOW]]
  // CHECK: arith.maximumf
  %y = onnx.node "MaxPool"(%x) {kernel_shape = array<i64: 3, 3>, strides = array<i64: 2, 2>,
                                pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x2x8x8xf32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}

// -----

// Border positions average fewer elements: a constant factor for each position.
// CHECK-LABEL: func.func @average
func.func @average(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  // CHECK: onnx.constant {{.*}} : tensor<4x4xf32>
  // CHECK: arith.mulf
  %y = onnx.node "AveragePool"(%x) {kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  return %y : tensor<1x2x4x4xf32>
}
