// Open MPI for Swift, which cannot see constants that are macros with casts.
#pragma once
#include <mpi.h>

static inline MPI_Comm ck_mpi_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Comm ck_mpi_null(void) { return MPI_COMM_NULL; }
static inline MPI_Datatype ck_mpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype ck_mpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype ck_mpi_byte(void) { return MPI_BYTE; }
static inline MPI_Op ck_mpi_sum(void) { return MPI_SUM; }
static inline void *ck_mpi_in_place(void) { return MPI_IN_PLACE; }
static inline int ck_mpi_any_source(void) { return MPI_ANY_SOURCE; }
static inline MPI_Fint ck_mpi_fortran(MPI_Comm comm) { return MPI_Comm_c2f(comm); }
static inline int ck_mpi_iprobe(int source, int tag, MPI_Comm comm, int *found, int *from, int *bytes) {
  MPI_Status status;
  int error = MPI_Iprobe(source, tag, comm, found, &status);
  if (error == MPI_SUCCESS && *found) {
    *from = status.MPI_SOURCE;
    error = MPI_Get_count(&status, MPI_BYTE, bytes);
  }
  return error;
}
static inline int ck_mpi_receive(void *data, int bytes, int source, int tag, MPI_Comm comm) {
  return MPI_Recv(data, bytes, MPI_BYTE, source, tag, comm, MPI_STATUS_IGNORE);
}
static inline int ck_mpi_test(MPI_Request *request, int *done) {
  return MPI_Test(request, done, MPI_STATUS_IGNORE);
}
