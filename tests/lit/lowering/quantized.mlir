// RUN: npu-opt --onnx-sink-dequantize --convert-onnx-to-linalg --npucc-fuse-elementwise --split-input-file %s | FileCheck %s

// Dequantised operands: the contraction is on integers, scale, bias, activation and
// quantisation are one elementwise op; padding is the zero point; uint8 becomes i8.
// CHECK-LABEL: func.func @conv
// CHECK-SAME: %[[X:.*]]: tensor<1x2x4x4xi8> {npu.type = "uint8"}
// CHECK-SAME: -> (tensor<1x3x4x4xi8> {npu.type = "uint8"})
func.func @conv(%x: tensor<1x2x4x4xui8>) -> tensor<1x3x4x4xui8> {
  %s = onnx.constant dense<0.5> : tensor<f32>
  %z = onnx.constant dense<7> : tensor<ui8>
  %w = onnx.constant dense<1> : tensor<3x2x3x3xi8>
  %ws = onnx.constant dense<[0.1, 0.2, 0.3]> : tensor<3xf32>
  %b = onnx.constant dense<5> : tensor<3xi32>
  // CHECK: tensor.pad %[[X]]
  // CHECK: tensor.yield %c7_i8
  // CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<1x2x6x6xi8>, tensor<3x2x3x3xi8>)
  // CHECK: arith.extui
  // CHECK: arith.subi %{{.*}}, %c7_i32
  // CHECK: arith.extsi
  // CHECK-NOT: arith.subi
  // CHECK: arith.muli
  // CHECK: -> tensor<1x3x4x4xi32>
  // CHECK: linalg.generic
  // CHECK: arith.sitofp
  // CHECK: arith.mulf
  // CHECK: arith.addf
  // CHECK: arith.maximumf
  // CHECK: math.roundeven
  // CHECK: arith.trunci
  // CHECK-NOT: linalg.generic
  %dx = onnx.node "DequantizeLinear"(%x, %s, %z) {}
      : (tensor<1x2x4x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4x4xf32>
  %dw = onnx.node "DequantizeLinear"(%w, %ws) {axis = 0 : i64}
      : (tensor<3x2x3x3xi8>, tensor<3xf32>) -> tensor<3x2x3x3xf32>
  %db = onnx.node "DequantizeLinear"(%b, %ws) {axis = 0 : i64}
      : (tensor<3xi32>, tensor<3xf32>) -> tensor<3xf32>
  %c = onnx.node "Conv"(%dx, %dw, %db) {pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x2x4x4xf32>, tensor<3x2x3x3xf32>, tensor<3xf32>) -> tensor<1x3x4x4xf32>
  %r = onnx.node "Relu"(%c) {} : (tensor<1x3x4x4xf32>) -> tensor<1x3x4x4xf32>
  %q = onnx.node "QuantizeLinear"(%r, %s, %z) {}
      : (tensor<1x3x4x4xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x3x4x4xui8>
  return %q : tensor<1x3x4x4xui8>
}

// -----

// Q(MaxPool(DQ(x))) with equal parameters is MaxPool(x), on unsigned bytes.
// CHECK-LABEL: func.func @sink
func.func @sink(%x: tensor<1x2x4x4xui8>) -> tensor<1x2x2x2xui8> {
  %s = onnx.constant dense<0.5> : tensor<f32>
  %z = onnx.constant dense<7> : tensor<ui8>
  // CHECK-NOT: arith.sitofp
  // CHECK: arith.maxui
  // CHECK-NOT: math.roundeven
  %d = onnx.node "DequantizeLinear"(%x, %s, %z) {}
      : (tensor<1x2x4x4xui8>, tensor<f32>, tensor<ui8>) -> tensor<1x2x4x4xf32>
  %p = onnx.node "MaxPool"(%d) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>}
      : (tensor<1x2x4x4xf32>) -> tensor<1x2x2x2xf32>
  %q = onnx.node "QuantizeLinear"(%p, %s, %z) {}
      : (tensor<1x2x2x2xf32>, tensor<f32>, tensor<ui8>) -> tensor<1x2x2x2xui8>
  return %q : tensor<1x2x2x2xui8>
}
