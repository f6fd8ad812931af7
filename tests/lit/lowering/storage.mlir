// RUN: npu-opt --convert-onnx-to-linalg=storage=bf16 --npucc-fuse-elementwise %s | FileCheck %s

// fp32 is stored as bf16 and computed with as f32; between fused ops nothing is rounded.
// CHECK-LABEL: func.func @f
// CHECK-SAME: tensor<4xbf16> {npu.external_type = "fp32"}
// CHECK-SAME: -> (tensor<4xbf16> {npu.external_type = "fp32"})
func.func @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  // CHECK: linalg.generic
  // CHECK: arith.extf
  // CHECK-NOT: arith.truncf
  // CHECK: math.exp
  // CHECK-NOT: arith.extf
  // CHECK: math.sqrt
  // CHECK-NEXT: arith.truncf
  %e = onnx.node "Exp"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  %y = onnx.node "Sqrt"(%e) {} : (tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// What fp16 files ask for is kept: each operator rounds.
// CHECK-LABEL: func.func @half
func.func @half(%x: tensor<4xf16>) -> tensor<4xf16> {
  // CHECK: math.exp
  // CHECK-NEXT: arith.truncf
  // CHECK-NEXT: arith.extf
  // CHECK-NEXT: math.sqrt
  %e = onnx.node "Exp"(%x) {} : (tensor<4xf16>) -> tensor<4xf16>
  %y = onnx.node "Sqrt"(%e) {} : (tensor<4xf16>) -> tensor<4xf16>
  return %y : tensor<4xf16>
}
