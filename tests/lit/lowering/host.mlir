// RUN: npu-opt --convert-onnx-to-linalg %s | FileCheck %s

// What no lowering takes stays, on storage types, with the reason and the types it computes with.
// CHECK-LABEL: func.func @unknown
func.func @unknown(%x: tensor<4xui8>) -> tensor<4xui8> {
  // CHECK: onnx.node "Frobnicate"
  // CHECK-SAME: npu.host_reason = "the operator has no lowering"
  // CHECK-SAME: npu.input_types = [tensor<4xui8>]
  // CHECK-SAME: (tensor<4xi8>) -> tensor<4xi8>
  %y = onnx.node "Frobnicate"(%x) {} : (tensor<4xui8>) -> tensor<4xui8>
  return %y : tensor<4xui8>
}

// CHECK-LABEL: func.func @refused
func.func @refused(%x: tensor<4x4xf32>, %i: tensor<2xi64>) -> tensor<2x4xf32> {
  // CHECK: onnx.node "Gather"
  // CHECK-SAME: npu.host_reason = "indices depend on data"
  %y = onnx.node "Gather"(%x, %i) {} : (tensor<4x4xf32>, tensor<2xi64>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}

// A result that is a constant expression comes from the constant itself.
// CHECK-LABEL: func.func @constant
func.func @constant() -> tensor<2xui8> {
  // CHECK: %[[C:.*]] = onnx.constant
  // CHECK: onnx.data %[[C]] : tensor<2xui8> -> tensor<2xi8>
  %c = onnx.constant dense<1> : tensor<2xui8>
  return %c : tensor<2xui8>
}
