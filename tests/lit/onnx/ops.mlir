// The dialect's ops survive printing and parsing, with their locations.
// RUN: npu-opt %s --mlir-print-debuginfo --mlir-print-local-scope | npu-opt --mlir-print-debuginfo --mlir-print-local-scope | FileCheck %s

// CHECK: module attributes {onnx.layers = [{macs = 432 : i64, node = "conv1", op = "Conv"}], onnx.model = "a.onnx"}
module attributes {onnx.model = "a.onnx", onnx.layers = [{node = "conv1", op = "Conv", macs = 432 : i64}]} {

// CHECK: func.func @main(%[[X:.*]]: tensor<1x1x4x4xf32> {onnx.name = "x"}
// CHECK-SAME: -> (tensor<1x3x4x4xf32> {onnx.name = "y"})
func.func @main(%x: tensor<1x1x4x4xf32> {onnx.name = "x"}) -> (tensor<1x3x4x4xf32> {onnx.name = "y"}) {
  // CHECK: %[[W:.*]] = onnx.constant dense_resource<w> : tensor<3x1x3x3xf32> loc("w")
  %w = onnx.constant dense_resource<w> : tensor<3x1x3x3xf32> loc("w")
  // CHECK: %[[NONE:.*]] = onnx.none
  %none = onnx.none
  // CHECK: onnx.node "Conv"(%[[X]], %[[W]], %[[NONE]]) {pads = array<i64: 1, 1, 1, 1>} :
  // CHECK-SAME: (tensor<1x1x4x4xf32>, tensor<3x1x3x3xf32>, none) -> tensor<1x3x4x4xf32> loc("conv1")
  %y = onnx.node "Conv"(%x, %w, %none) {pads = array<i64: 1, 1, 1, 1>}
      : (tensor<1x1x4x4xf32>, tensor<3x1x3x3xf32>, none) -> tensor<1x3x4x4xf32> loc("conv1")
  return %y : tensor<1x3x4x4xf32>
}

// CHECK-LABEL: func.func @kinds
func.func @kinds(%x: tensor<4xui8>) -> (tensor<4xf32>, tensor<4xi1>) {
  // Every kind of attribute; a domain; several results, one of them absent.
  // CHECK: onnx.node "Fancy"(%{{.*}}) {b = dense<[1, 2]> : tensor<2xi4>, f = 2.500000e+00 : f32,
  // CHECK-SAME: fs = array<f32: 1.000000e+00>, i = -3 : i64, is = array<i64>, s = "text", ss = ["a", "b"]}
  // CHECK-SAME: {domain = "com.example"} : (tensor<4xui8>) -> (tensor<4xf32>, none, tensor<4xi1>)
  %a, %absent, %b = onnx.node "Fancy"(%x) {i = -3 : i64, f = 2.5 : f32, s = "text", is = array<i64>,
      fs = array<f32: 1.0>, ss = ["a", "b"], b = dense<[1, 2]> : tensor<2xi4>} {domain = "com.example"}
      : (tensor<4xui8>) -> (tensor<4xf32>, none, tensor<4xi1>)
  return %a, %b : tensor<4xf32>, tensor<4xi1>
}

// CHECK-LABEL: func.func @data
func.func @data() -> (tensor<2xi8>, tensor<2xbf16>) {
  %u = onnx.constant dense<[1, 255]> : tensor<2xui8>
  %f = onnx.constant dense<[1.0, 2.0]> : tensor<2xf32>
  // CHECK: onnx.data %{{.*}} : tensor<2xui8> -> tensor<2xi8>
  %0 = onnx.data %u : tensor<2xui8> -> tensor<2xi8>
  // CHECK: onnx.data %{{.*}} : tensor<2xf32> -> tensor<2xbf16>
  %1 = onnx.data %f : tensor<2xf32> -> tensor<2xbf16>
  return %0, %1 : tensor<2xi8>, tensor<2xbf16>
}
}
