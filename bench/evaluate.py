"""Evaluations of features with scikit-learn and faiss; see bench/evaluate.go, which makes the features."""

import numpy as np

import worker


def knn_of(e, train, labels, test):
    def weights(cosine):
        return np.exp(cosine / e["temperature"])

    def vote(cosine, near):
        votes = np.zeros((len(near), e["classes"]))
        np.add.at(votes, (np.arange(len(near))[:, None], labels[near]), weights(cosine))
        return votes.argmax(1)

    def sklearn():
        from sklearn.neighbors import KNeighborsClassifier

        k = KNeighborsClassifier(e["k"], metric="cosine", algorithm="brute", weights=lambda distance: weights(1 - distance), n_jobs=2)
        return k.fit(train, labels).predict(test)

    def faiss():
        import faiss

        a, b = train.copy(), test.copy()
        faiss.normalize_L2(a)
        faiss.normalize_L2(b)
        index = faiss.IndexFlatIP(e["dims"])
        index.add(a)
        return vote(*index.search(b, e["k"]))

    return {"sklearn": sklearn, "faiss": faiss}


def probe_of(e, train, labels, test):
    def sklearn():
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scale = StandardScaler().fit(train)
        # It sums what this library averages.
        p = LogisticRegression(C=1 / (e["l2"] * len(train)), max_iter=e["iterations"])
        return p.fit(scale.transform(train), labels).predict(scale.transform(test))

    return {"sklearn": sklearn}


def kmeans_of(e, train):
    def sklearn():
        from sklearn.cluster import KMeans

        k = KMeans(e["k"], init=train[: e["k"]], n_init=1, max_iter=e["iterations"], tol=0, algorithm="lloyd")
        return k.fit(train).inertia_ / len(train)

    def faiss():
        import faiss

        k = faiss.Kmeans(e["dims"], e["k"], niter=e["iterations"], min_points_per_centroid=1, max_points_per_centroid=len(train))
        k.train(train, init_centroids=train[: e["k"]])
        return float(k.index.search(train, 1)[0].mean())

    return {"sklearn": sklearn, "faiss": faiss}


def main():
    c = worker.config()
    e, library = c["evaluation"], c["library"]
    if library == "faiss":
        import faiss

        faiss.omp_set_num_threads(c["threads"])
    x = np.fromfile(c["file"], np.float32).reshape(-1, e["dims"])
    labels = np.arange(len(x)) % e["classes"]
    train, test, own = x[: e["train"]], x[e["train"] :], labels[: e["train"]]
    if c["method"] == "kmeans":
        step = kmeans_of(e, train)[library]
    else:
        # Row i is of class i modulo their number, of the test rows too.
        predict = {"knn": knn_of, "probe": probe_of}[c["method"]](e, train, own, test)[library]

        def step():
            return float((predict() == labels[e["train"] :]).mean())

    worker.serve(c, 0, lambda _: step())


if __name__ == "__main__":
    main()
