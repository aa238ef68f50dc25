# diag(1, …, 50000), the 40 largest triplets by RSpectra and irlba: products and the residual norm that is reached.
n <- 50000
k <- 40
d <- as.numeric(1:n)
products <- 0
times <- function(x, args) { products <<- products + 1; d * as.vector(x) }

report <- function(name, s, seconds) {
  # ‖(A v − σ u, Aᵀ u − σ v)‖, the largest of the 40.
  residuals <- sqrt(colSums((d * s$v - s$u %*% diag(s$d))^2) + colSums((d * s$u - s$v %*% diag(s$d))^2))
  cat(sprintf("%s: %d products, residual %.1e of the largest value, values off by %.1e, %.1f s\n",
              name, as.integer(products), max(residuals) / s$d[1], max(abs(s$d - (n:(n - k + 1)))), seconds))
}

for (package in c("RSpectra", "irlba"))
  if (!requireNamespace(package, quietly = TRUE)) cat(package, "is not installed: apt-get install", paste0("r-cran-", tolower(package)), "\n")

if (requireNamespace("RSpectra", quietly = TRUE)) for (tolerance in c(1e-5, 1e-10)) {
  products <- 0
  time <- system.time(s <- RSpectra::svds(times, k, Atrans = times, dim = c(n, n),
                                          opts = list(tol = tolerance, maxitr = 10000)))
  report(sprintf("RSpectra %s, tol %g", packageVersion("RSpectra"), tolerance), s, time[["elapsed"]])
}

if (requireNamespace("irlba", quietly = TRUE)) for (tolerance in c(1e-5, 1e-6)) {
  a <- Matrix::Diagonal(n, d)
  time <- system.time(s <- irlba::irlba(a, nv = k, tol = tolerance, maxit = 10000, fastpath = FALSE))
  products <- s$mprod
  report(sprintf("irlba %s, tol %g", packageVersion("irlba"), tolerance), s, time[["elapsed"]])
}
