// RUN: npu-opt --convert-onnx-to-linalg --npucc-fuse-elementwise --split-input-file %s | FileCheck %s

// Softmax of fp16 keeps its maxima, powers and sums in f32.
// CHECK-LABEL: func.func @softmax
func.func @softmax(%x: tensor<2x8xf16>) -> tensor<2x8xf16> {
  // CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]{{.*}} outs(%{{.*}} : tensor<2xf32>)
  // CHECK: linalg.generic {{.*}}["parallel", "parallel"]{{.*}} outs(%{{.*}} : tensor<2x8xf32>)
  // CHECK: math.exp
  // CHECK: linalg.generic {{.*}}["parallel", "reduction"]{{.*}} outs(%{{.*}} : tensor<2xf32>)
  // CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<2x8xf16>)
  // CHECK: arith.divf
  %y = onnx.node "Softmax"(%x) {axis = -1 : i64} : (tensor<2x8xf16>) -> tensor<2x8xf16>
  return %y : tensor<2x8xf16>
}

// -----

// A layer norm written out in the file: kept dimensions leave no view between the ops.
// CHECK-LABEL: func.func @norm
func.func @norm(%x: tensor<2x8xf32>) -> tensor<2x8xf32> {
  %axes = onnx.constant dense<-1> : tensor<1xi64>
  %eps = onnx.constant dense<1.0e-5> : tensor<f32>
  // CHECK-NOT: tensor.expand_shape
  // CHECK-NOT: tensor.collapse_shape
  %m = onnx.node "ReduceMean"(%x, %axes) {keepdims = 1 : i64}
      : (tensor<2x8xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %d = onnx.node "Sub"(%x, %m) {} : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  %s = onnx.node "Mul"(%d, %d) {} : (tensor<2x8xf32>, tensor<2x8xf32>) -> tensor<2x8xf32>
  %v = onnx.node "ReduceMean"(%s, %axes) {keepdims = 1 : i64}
      : (tensor<2x8xf32>, tensor<1xi64>) -> tensor<2x1xf32>
  %e = onnx.node "Add"(%v, %eps) {} : (tensor<2x1xf32>, tensor<f32>) -> tensor<2x1xf32>
  %q = onnx.node "Sqrt"(%e) {} : (tensor<2x1xf32>) -> tensor<2x1xf32>
  %y = onnx.node "Div"(%d, %q) {} : (tensor<2x8xf32>, tensor<2x1xf32>) -> tensor<2x8xf32>
  return %y : tensor<2x8xf32>
}
