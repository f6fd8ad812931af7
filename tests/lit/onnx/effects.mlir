// Nodes without users go and equal nodes become one, except where they draw random numbers.
// RUN: npu-opt %s --cse | FileCheck %s

// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  // CHECK-NOT: "Exp"
  %dead = onnx.node "Exp"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-COUNT-1: "Relu"
  // CHECK-NOT: "Relu"
  %a = onnx.node "Relu"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  %b = onnx.node "Relu"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-COUNT-2: "RandomNormalLike"
  %c = onnx.node "RandomNormalLike"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  %d = onnx.node "RandomNormalLike"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  return %a, %b, %c, %d : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}
